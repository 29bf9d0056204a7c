"""One hook as a process: its input goes in, what it says comes out, and nothing of it is left.

Whatever it does (hangs, floods, closes its ends, ignores its input, is not there), this returns in
time with what was kept, and its whole tree is gone. Cancellation kills it, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from octavo.protocol.errors import OctavoError
from octavo.sandbox import Command, Exit, Process
from octavo.sandbox.process import Output

OUT_LIMIT_BYTES = 1 << 20
ERR_LIMIT_BYTES = 64 << 10
_DRAIN_S = 2.0
"""How long the ends of its pipes are waited for once it is gone."""

Spawn = Callable[[Command], Awaitable[Process]]


class Ran(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        exit: how it ended; None if it did not start or was ended.
        trouble: what went wrong, as a sentence's end: "it …".
        out_bytes: how much it printed; `out` is the first `OUT_LIMIT_BYTES` of it.
    """

    exit: Exit | None
    out: bytes = b""
    err: bytes = b""
    out_bytes: int = 0
    trouble: str = ""
    took_ms: int = 0


class _Kept:
    """The first bytes of one output."""

    def __init__(self, limit_bytes: int) -> None:
        self.data = bytearray()
        self.size_bytes = 0
        self._limit_bytes = limit_bytes

    async def read(self, output: Output) -> None:
        while data := await output.read():
            self.size_bytes += len(data)
            self.data += data[: max(0, self._limit_bytes - len(self.data))]


class _Input:
    """The writing end of its standard input."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    async def feed(self, data: bytes) -> None:
        """Write all of it and the end; a reader that goes away wanted no more."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._fd)
            except OSError:
                break
        self.close()

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            anyio.notify_closing(fd)
            os.close(fd)


async def run_hook(spawn: Spawn, command: Command, given: bytes, *, timeout_s: float) -> Ran:
    """Run `command` with `given` as its standard input.

    Args:
        spawn: starts it where it belongs.
        command: without `stdio`.
    """
    began = time.monotonic()
    inner_in, ours_in = os.pipe()
    ours_out, inner_out = os.pipe()
    ours_err, inner_err = os.pipe()
    theirs = (inner_in, inner_out, inner_err)
    out, err = _Kept(OUT_LIMIT_BYTES), _Kept(ERR_LIMIT_BYTES)
    outputs = Output(ours_out, is_terminal=False), Output(ours_err, is_terminal=False)
    given_in = _Input(ours_in)
    ended: Exit | None = None
    trouble = ""
    process: Process | None = None
    try:
        with anyio.move_on_after(timeout_s) as waiting:
            try:
                process = await spawn(msgspec.structs.replace(command, stdio=theirs))
            except OctavoError as error:
                trouble = f"could not be started: {error}"
            finally:
                for fd in theirs:
                    os.close(fd)
            if process is not None:
                async with anyio.create_task_group() as group:
                    group.start_soon(given_in.feed, given)
                    group.start_soon(out.read, outputs[0])
                    group.start_soon(err.read, outputs[1])
                    ended = await process.wait()
                    group.cancel_scope.deadline = anyio.current_time() + _DRAIN_S
        if waiting.cancelled_caught and ended is None:
            trouble = f"did not end within {timeout_s:g} s and was stopped"
    finally:
        if process is not None and ended is None:
            await process.kill()
        for output in outputs:
            output.close()
        given_in.close()
    return Ran(
        exit=ended,
        out=bytes(out.data),
        err=bytes(err.data),
        out_bytes=out.size_bytes,
        trouble=trouble,
        took_ms=round((time.monotonic() - began) * 1000),
    )
