"""A confined command that has this process's own stdin, stdout and stderr.

Pipes go into the cage as they are. Anything else stays outside, and what it says is copied through
a pipe: a file could be opened anew in there with more rights than were given. Where one of the
three is a terminal, the command gets a terminal of its own, and this process carries keys, output
and sizes between the two; so Ctrl-C, job control and full-screen programs work, and no command
holds a terminal on which a person types something else later.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Awaitable, Callable

import anyio
import msgspec
from anyio.abc import TaskStatus
from anyio.lowlevel import checkpoint

from octavo.sandbox import Command, Exit, Process, Sandbox
from octavo.sandbox.terminal import Terminal

_COPY_BYTES = 64 * 1024
_TRICKLE_BYTES = 4096
"""What anything takes at once that says it can be written to."""
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_HEEDED = (signal.SIGINT, signal.SIGWINCH, signal.SIGCONT, *_ENDING)


async def run_passing(sandbox: Sandbox, command: Command) -> Exit:
    """Run `command` between this process's stdin, stdout and stderr; return how it ended.

    SIGINT reaches the command; SIGTERM and SIGHUP end it and all it started, and are then what it
    ended by. Nothing of it is left when this returns.

    Raises:
        SandboxError: see `Sandbox.spawn`.
    """
    terminal = Terminal.of_this_process()
    wires = _Wires()
    try:
        stdio = wires.lay()
        size = None if terminal is None else terminal.size()
        process = await sandbox.spawn(msgspec.structs.replace(command, tty=size, stdio=stdio))
        wires.close_given()
        try:
            return await _attend(process, wires, terminal)
        finally:
            await process.kill()
    finally:
        wires.close()
        if terminal is not None:
            terminal.give_back()


async def _attend(process: Process, wires: _Wires, terminal: Terminal | None) -> Exit:
    told: list[signal.Signals] = []
    async with anyio.create_task_group() as output:
        for reader, fd in wires.outward:
            output.start_soon(_copy_out, reader, fd)
        if terminal is not None:
            terminal.take()
            output.start_soon(terminal.show, process)
        async with anyio.create_task_group() as beside:
            await beside.start(_heed_signals, process, terminal, told)
            if terminal is not None:
                beside.start_soon(terminal.type_into, process)
            if wires.inward is not None:
                beside.start_soon(_copy_in, wires.inward)
            ended = await process.wait()
            beside.cancel_scope.cancel()
    return Exit(signal=told[0]) if told else ended


async def _heed_signals(
    process: Process,
    terminal: Terminal | None,
    told: list[signal.Signals],
    *,
    task_status: TaskStatus[None],
) -> None:
    with anyio.open_signal_receiver(*_HEEDED) as signals:
        task_status.started()
        async for number in signals:
            if number == signal.SIGINT:
                process.interrupt()
            elif number in _ENDING:
                told.append(number)
                await process.kill()
            elif terminal is not None:
                terminal.take()
                process.resize(*terminal.size())


class _Wires:
    """The pipes of one command, and what has to be copied to and from them."""

    def __init__(self) -> None:
        self._given: list[int] = []
        self._kept: list[int] = []
        self.inward: int | None = None
        """What stdin says has to be written there."""
        self.outward: list[tuple[int, int]] = []
        """(reader, descriptor): what comes from the one has to be written to the other."""

    def lay(self) -> tuple[int | None, int | None, int | None]:
        """Return what the command is to have; None is its terminal."""
        stdin, stdout = self._from_stdin(), self._to(1)
        if stdout is not None and os.path.sameopenfile(1, 2):
            return stdin, stdout, stdout
        return stdin, stdout, self._to(2)

    def _from_stdin(self) -> int | None:
        if os.isatty(0) or _is_pipe(0):
            return None if os.isatty(0) else 0
        reader, self.inward = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.inward, False)
        self._given.append(reader)
        self._kept.append(self.inward)
        return reader

    def _to(self, fd: int) -> int | None:
        if os.isatty(fd) or _is_pipe(fd):
            return None if os.isatty(fd) else fd
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        self._kept.append(reader)
        self._given.append(writer)
        self.outward.append((reader, fd))
        return writer

    def close_given(self) -> None:
        """Close the ends that the command has now, so that the others hear when it has ended."""
        while self._given:
            os.close(self._given.pop())

    def close(self) -> None:
        self.close_given()
        while self._kept:
            os.close(self._kept.pop())


def _is_pipe(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)


async def _copy_in(writer: int) -> None:
    """Copy stdin to `writer`, which is at its end when this returns."""
    while True:
        await _ready(anyio.wait_readable, 0)
        try:
            data = os.read(0, _COPY_BYTES)
        except BlockingIOError:
            continue
        except OSError:
            data = b""
        if not data or not await _write_pipe(writer, data):
            _let_go(writer)
            return


async def _write_pipe(fd: int, data: bytes) -> bool:
    """Write everything, and return True; or False when nobody reads any more."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            await anyio.wait_writable(fd)
        except OSError:
            return False
    return True


async def _copy_out(reader: int, fd: int) -> None:
    """Copy everything from `reader` to `fd`; if that takes no more, nor does `reader`."""
    while True:
        await anyio.wait_readable(reader)
        data = os.read(reader, _COPY_BYTES)
        if not data:
            return
        if not await _write_out(fd, data):
            _let_go(reader)
            return


async def _write_out(fd: int, data: bytes) -> bool:
    """Write everything, and return True; or False when that is not possible."""
    view = memoryview(data)
    while view:
        waits = await _ready(anyio.wait_writable, fd)
        try:
            view = view[os.write(fd, view[: _TRICKLE_BYTES if waits else None]) :]
        except BlockingIOError:
            continue
        except OSError:
            return False
    return True


async def _ready(wait: Callable[[int], Awaitable[None]], fd: int) -> bool:
    """Wait for `fd`; False when it is a file or a device that never makes one wait."""
    try:
        await wait(fd)
    except PermissionError:
        await checkpoint()
        return False
    return True


def _let_go(fd: int) -> None:
    """Leave the pipe at `fd`; its number stays taken until all are closed."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, fd, inheritable=False)
    os.close(null)
