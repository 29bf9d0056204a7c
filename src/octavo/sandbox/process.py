"""A caged command, as its owner sees it.

The supervisor holds three descriptors: the output, the init's socket, and the init's pidfd. The
init says how the command ended after nothing of it is left; if it says nothing, it was killed,
and its pidfd tells when the kernel has cleared up.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

import anyio

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Exit
from octavo.sandbox.cage import words

READ_BYTES = 256 * 1024
PIPE_BYTES = 1024 * 1024
KILLED = Exit(signal=signal.SIGKILL)


class Output:
    """The reading end of a command's output: a pipe, or the master of its terminal."""

    def __init__(self, fd: int, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._fd = fd
        """-1 when there is nothing to read."""
        if fd >= 0:
            os.set_blocking(fd, False)

    async def read(self) -> bytes:
        """Return what is there, waiting for something; b"" at the end, then always."""
        while self._fd >= 0:
            try:
                data = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._fd)
                continue
            except OSError:
                data = b""
            if not data:
                self.close()
            return data
        return b""

    async def write(self, data: bytes) -> None:
        """Type into the terminal."""
        if not self.is_terminal:
            raise SandboxError("The command has no terminal to type into.")
        view = memoryview(data)
        while view and self._fd >= 0:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._fd)
            except OSError:
                return

    def type_interrupt(self) -> None:
        if self._fd >= 0:
            try:
                os.write(self._fd, b"\x03")
            except OSError:
                return

    def resize(self, rows: int, columns: int) -> None:
        if self.is_terminal and self._fd >= 0:
            import termios

            termios.tcsetwinsize(self._fd, (rows, columns))

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            if self.is_terminal:  # somebody may wait to type
                anyio.notify_closing(fd)
            os.close(fd)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class CagedProcess:
    """A started command in a cage. Implements `sandbox.Process`."""

    def __init__(
        self,
        *,
        init: socket.socket,
        pidfd: int,
        output: Output,
        kill_signal: int,
        on_end: Callable[[CagedProcess], None],
    ) -> None:
        self._init = init
        self._pidfd = pidfd
        self._output = output
        self._kill_signal = kill_signal
        self._on_end = on_end
        self._ending = anyio.Lock(fast_acquire=True)
        self._exit: Exit | None = None

    async def read(self) -> bytes:
        return await self._output.read()

    async def write(self, data: bytes) -> None:
        await self._output.write(data)

    def resize(self, rows: int, columns: int) -> None:
        self._output.resize(rows, columns)

    def interrupt(self) -> None:
        if self._output.is_terminal:
            self._output.type_interrupt()
        else:
            self._signal(signal.SIGINT)

    async def wait(self) -> Exit:
        async with self._ending:
            if self._exit is None:
                self._exit = await self._hear_the_end()
                self._close()
            return self._exit

    async def kill(self) -> Exit:
        self._signal(self._kill_signal)
        with anyio.CancelScope(shield=True):
            await self.wait()
        return self._exit or KILLED

    async def _hear_the_end(self) -> Exit:
        try:  # it is mostly told by the time the end of the output has been read
            message, _ = words.receive(self._init, socket.MSG_DONTWAIT)
        except BlockingIOError:
            await anyio.wait_readable(self._init)
            message, _ = words.receive(self._init)
        if message.startswith(words.ENDED):
            return exit_of(int.from_bytes(message[1:5], "little"))
        await anyio.wait_readable(self._pidfd)
        return KILLED

    def _signal(self, number: int) -> None:
        if self._exit is None:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                return

    def _close(self) -> None:
        self._init.close()
        os.close(self._pidfd)
        self._on_end(self)


def exit_of(status: int) -> Exit:
    """Return how a process ended, from its wait status."""
    code = os.waitstatus_to_exitcode(status)
    return Exit(code=code) if code >= 0 else Exit(signal=-code)


def output_pipe() -> tuple[Output, int]:
    """Return a pipe: where octavo reads, and the descriptor a command writes to."""
    import fcntl

    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass
    return Output(reader, is_terminal=False), writer
