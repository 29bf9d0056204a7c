"""The commands of a thread that are running, or have ended and not been read.

Each command has one task that takes its output as it comes, so that no command ever waits for the
model to look. A call waits for its command a while; if the command takes longer it goes on, and
later calls reach it by its number. When the thread ends every command and all it started are gone.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from octavo.protocol.errors import SandboxError
from octavo.protocol.events import CallFacts
from octavo.sandbox import Exit, Process
from octavo.tools import Hands, Permit, ToolFailed
from octavo.tools.capture import Capture, Window
from octavo.tools.progress import Progress

LIVE_LIMIT = 64
_ENDED_LIMIT = 64
_SIGKILL = 9
_IDS_FROM, _IDS_TO = 1_000, 100_000


class Session:
    """One command.

    Attributes:
        call_id: the call that started it.
        exit: how it ended; None while it runs.
        lost: why octavo lost hold of it, if it did not end by itself.
        gone: set when it has ended and its output is complete.
        permit: what it was started with.
        told_hosts: hosts that were kept from it, as far as the model knows.
        outlived: it went on after its call.
    """

    def __init__(
        self, number: int, command: str, permit: Permit, process: Process, hands: Hands
    ) -> None:
        self.number = number
        self.permit = permit
        self.told_hosts: set[str] = set()
        self.call_id = hands.call_id
        self.command = command
        self.tty = permit.command.tty is not None
        self.process = process
        self.exit: Exit | None = None
        self.lost: str | None = None
        self.gone = anyio.Event()
        self.capture = Capture(hands.keep_output, hands.output_limit_tokens)
        self._hands = hands
        self._progress = Progress(hands.progress)
        self._began_s = anyio.current_time()
        self._ended_s: float | None = None
        self._waiting = 0
        self.outlived = False

    @property
    def running(self) -> bool:
        """True until the command has ended and its output is complete."""
        return not self.gone.is_set()

    def facts(self) -> CallFacts:
        """Return what the command did so far."""
        until_s = anyio.current_time() if self._ended_s is None else self._ended_s
        return CallFacts(
            exit_code=exit_code(self.exit) if self.exit else None,
            duration_ms=round((until_s - self._began_s) * 1000),
            running=self.running,
            session_id=self.number if self.running or self.outlived else None,
            output_path=self.capture.path,
        )

    async def watch(self) -> None:
        """Take the output until the command has ended. For the one task that owns the command.

        Only the command's end ends it: a cancelled thread kills its commands, and each is seen out.
        """
        with anyio.CancelScope(shield=True):
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._drain, group)
                    self.exit = await self.process.wait()
            except* SandboxError as lost:
                self.exit = Exit(signal=_SIGKILL)
                self.lost = str(lost.exceptions[0])
            self._progress.flush()
            await self.capture.close()
            self._ended_s = anyio.current_time()
            self.gone.set()
            if self.outlived:
                self._hands.ended(self.facts())

    async def _drain(self, group: TaskGroup) -> None:
        while data := await self.process.read():
            await self.capture.feed(data)
            if self._waiting:
                self._progress.show(data, group)
        self._progress.stop()

    async def wait(self, up_to_s: float) -> Window:
        """Wait until the command has ended or the time is over; return what is new.

        A command that is still running then has outlived its call: its end will be reported.
        """
        self._waiting += 1
        try:
            with anyio.move_on_after(up_to_s):
                await self.gone.wait()
        finally:
            self._waiting -= 1
        self.outlived = self.outlived or self.running
        return self.capture.take(final=not self.running)


class CommandSessions:
    """A thread's commands, by number; open it around the thread."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._sessions: dict[int, Session] = {}
        self._read: dict[int, str] = {}
        """How commands ended whose last output has been read."""

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        group, self._group = self._group, None
        with anyio.CancelScope(shield=True):
            await self.close()
        if group is not None:
            # Its tasks are over, and what happened in the body is not the group's to wrap.
            await group.__aexit__(None, None, None)

    async def start(self, permit: Permit, shown: str, hands: Hands) -> Session:
        """Start what is permitted, `shown` to people as that text.

        Raises:
            ToolFailed: too many are running.
            SandboxError: it could not be confined, or the directory or program does not exist.
        """
        group = self._open_group()
        live = [session for session in self._sessions.values() if session.running]
        if len(live) >= LIVE_LIMIT:
            raise ToolFailed(
                f"{LIVE_LIMIT} commands are running, which is the limit. End one first: "
                'write_stdin with its session_id and chars "\\u0003". The oldest are: '
                + "; ".join(f"{session.number}: {session.command[:60]}" for session in live[:5])
            )
        process = await hands.spawn(permit)
        session = Session(self._free_number(), shown, permit, process, hands)
        self._sessions[session.number] = session
        group.start_soon(session.watch)
        self._forget_old()
        return session

    def find(self, number: int) -> Session:
        """Return a session that is running or has output nobody read.

        Raises:
            ToolFailed: there is none of that number; says which there are.
        """
        session = self._sessions.get(number)
        if session is not None:
            return session
        if number in self._read:
            raise ToolFailed(
                f"Session {number} has ended ({self._read[number]}) and its output was delivered."
            )
        there = ", ".join(
            f"{session.number} ({session.command[:60]})" for session in self._sessions.values()
        )
        raise ToolFailed(
            f"There is no session {number}. "
            + (f"Sessions: {there}." if there else "No command is running.")
        )

    def forget_read(self, session: Session) -> None:
        """Drop a session that has ended and whose last output is being delivered."""
        if session.running or self._sessions.pop(session.number, None) is None:
            return
        if session.exit is not None and session.outlived:
            self._read[session.number] = f"exit code {exit_code(session.exit)}"
            while len(self._read) > _ENDED_LIMIT:
                del self._read[next(iter(self._read))]

    async def kill_calls(self, call_ids: Collection[str]) -> None:
        """Kill what these calls started; return when all of it is gone."""
        await self._kill([s for s in self._sessions.values() if s.call_id in call_ids])

    async def close(self) -> None:
        """Kill every command; return when all of them are gone."""
        await self._kill(list(self._sessions.values()))

    async def _kill(self, sessions: Collection[Session]) -> None:
        running = [session for session in sessions if session.running]
        async with anyio.create_task_group() as group:
            for session in running:
                group.start_soon(session.process.kill)
        for session in running:
            await session.gone.wait()
        for session in sessions:
            self.forget_read(session)

    def _open_group(self) -> TaskGroup:
        if self._group is None:
            raise ToolFailed("The thread is closing; no command is started any more.")
        return self._group

    def _free_number(self) -> int:
        while True:
            number = _IDS_FROM + int.from_bytes(os.urandom(4)) % (_IDS_TO - _IDS_FROM)
            if number not in self._sessions and number not in self._read:
                return number

    def _forget_old(self) -> None:
        ended = [session for session in self._sessions.values() if not session.running]
        for session in ended[: max(0, len(ended) - _ENDED_LIMIT)]:
            self.forget_read(session)


def exit_code(exit: Exit) -> int:
    """Return the number a shell would give: 128 + n when signal n ended it."""
    if exit.signal is not None:
        return 128 + exit.signal
    return exit.code or 0
