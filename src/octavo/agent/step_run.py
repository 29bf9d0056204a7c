"""Several programs in cages, one after the other, as one `sandbox.Process`."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from octavo.policy.porcelain import Connector
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Exit, Process, Sandbox

Answer = Callable[[socket.socket], Awaitable[None]]
"""Answers on a line out of the cage until the other end is gone, or it is cancelled."""


class StepRun(ABC):
    """What a caller sees of it. Whoever has several programs to run says which, in `_run`.

    Attributes:
        ends_by: the signal after which no further program is to be started.
    """

    def __init__(self, name: str) -> None:
        """Begin with nothing running.

        Args:
            name: of what is run, for people.
        """
        self.ends_by: int | None = None
        self._name = name
        self._current: Process | None = None
        self._said, self._says = anyio.create_memory_object_stream[bytes](16)[::-1]
        self._running = anyio.Lock()
        self._exit: Exit | None = None

    @abstractmethod
    async def _run(self) -> Exit:
        """Run all of it, with `run` for each program."""

    async def read(self) -> bytes:
        try:
            return await self._said.receive()
        except anyio.EndOfStream:
            return b""

    async def write(self, data: bytes) -> None:
        raise SandboxError(f"{self._name} has no terminal to type into here.")

    def resize(self, rows: int, columns: int) -> None:
        """Do nothing: there is no terminal."""
        del rows, columns

    def interrupt(self) -> None:
        self.ends_by = 2
        if self._current is not None:
            self._current.interrupt()

    async def wait(self) -> Exit:
        async with self._running:
            if self._exit is None:
                try:
                    self._exit = await self._run()
                finally:
                    self._says.close()
        return self._exit

    async def kill(self) -> Exit:
        self.ends_by = 9
        if self._current is not None:
            await self._current.kill()
        with anyio.CancelScope(shield=True):
            await self.wait()
        return self._exit or Exit(signal=9)

    async def run(self, command: Command, sandbox: Sandbox, *, line: Answer | None = None) -> Exit:
        """Run one program to its end, and pass on what it says.

        Args:
            command: the program.
            sandbox: its cage.
            line: answers on a line out of the cage, which the program has as 3.
        """
        ours: socket.socket | None = None
        if line is None:
            process = await sandbox.spawn(command)
        else:
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                with its:
                    command = msgspec.structs.replace(command, line=its.fileno())
                    process = await sandbox.spawn(command)
            except BaseException:
                ours.close()
                raise
        self._current = process
        try:
            if self.ends_by is not None:
                await process.kill()
            async with anyio.create_task_group() as group:
                if line is not None and ours is not None:
                    group.start_soon(_answer, line, ours)
                async with anyio.create_task_group() as passing:
                    passing.start_soon(self._pass_on, process)
                    ended = await process.wait()
                group.cancel_scope.cancel()
        finally:
            await process.kill()
            self._current = None
        return ended

    async def tell(self, text: str) -> None:
        """Say something beside what the programs say."""
        try:
            await self._says.send(text.encode())
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async def _pass_on(self, process: Process) -> None:
        while data := await process.read():
            try:
                await self._says.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                continue  # nobody reads; it goes on


async def _answer(answer: Answer, line: socket.socket) -> None:
    with line:
        await answer(line)


def follows(after: Connector, last: Exit) -> bool:
    """Whether a step is run at all after how the one before it ended."""
    match after:
        case "&&":
            return last.code == 0
        case "||":
            return last.code != 0
        case ";":
            return True
