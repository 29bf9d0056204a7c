"""Hands over plain processes and files: what a tool may rely on, without a cage around it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from octavo.protocol.errors import SandboxError
from octavo.protocol.events import CallFacts, Intent
from octavo.protocol.questions import Answer, CommandQuestion, Question
from octavo.sandbox import (
    Command,
    Exit,
    FileChange,
    FileChangeRefused,
    FileState,
    Mode,
    Policy,
    Process,
    Write,
)
from octavo.tools import Declined, OutputFile, Permit, WantedCommand
from octavo.tools.sessions import CommandSessions


class PlainProcess:
    """A process in a group of its own; the group is killed with it."""

    def __init__(self, child: asyncio.subprocess.Process, fd: int, tty: bool) -> None:
        self._child = child
        self._fd = fd
        self._tty = tty

    async def read(self) -> bytes:
        while True:
            await anyio.wait_readable(self._fd)
            try:
                return os.read(self._fd, 256 << 10)
            except BlockingIOError:
                continue
            except OSError:  # a terminal whose last program has ended
                return b""

    async def write(self, data: bytes) -> None:
        if not self._tty:
            raise SandboxError("The command has no terminal.")
        os.write(self._fd, data)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    async def wait(self) -> Exit:
        code = await self._child.wait()
        self._signal(signal.SIGKILL)
        return Exit(signal=-code) if code < 0 else Exit(code=code)

    async def kill(self) -> Exit:
        self._signal(signal.SIGKILL)
        return await self.wait()

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            pass


async def spawn_plain(command: Command) -> PlainProcess:
    """Start `command` as it is."""
    if command.tty is None:
        ours, theirs = os.pipe()
    else:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *command.tty, 0, 0))
    os.set_blocking(ours, False)
    try:
        child = await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=command.cwd,
            env=dict(command.env),
            stdin=theirs if command.tty else asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal if command.tty else None,
        )
    except OSError as error:
        raise SandboxError(f"{error.filename}: {error.strerror}.") from None
    finally:
        os.close(theirs)
    return PlainProcess(child, ours, command.tty is not None)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class KeptFile:
    """A file in a folder of the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb", buffering=0)

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def close(self) -> None:
        self._file.close()


class FullDisk(KeptFile):
    """A file on a disk that has no room."""

    def __init__(self) -> None:
        super().__init__(Path("/dev/full"))


class PlainHands:
    """Hands of one call, and a record of what went through them."""

    def __init__(
        self,
        sessions: CommandSessions,
        cwd: Path,
        *,
        call_id: str = "call_1",
        answers: Sequence[Answer] = (),
        alone: bool = False,
        writable_roots: Sequence[Path] | None = None,
        network: bool = False,
        login: Mapping[str, str] | None = None,
        output_limit_tokens: int = 10_000,
    ) -> None:
        self.sessions = sessions
        self.cwd = cwd
        self.call_id = call_id
        self.env: Mapping[str, str] = {"HOME": str(cwd), "PATH": os.environ["PATH"]}
        self.writable_roots = [cwd] if writable_roots is None else writable_roots
        self.asks = bool(answers)
        self.alone = alone
        self.network = network
        self.output_limit_tokens = output_limit_tokens
        self.disk_is_full = False
        self.began: list[Intent] = []
        self.shown: list[str] = []
        self.asked: list[Question] = []
        self.wanted: list[WantedCommand] = []
        self.blocked_hosts: list[str] = []
        self.granted: list[Sequence[Path]] = []
        self.ends: list[CallFacts] = []
        self.kept: list[Path] = []
        self._answers = list(answers)
        self._login = login or {}

    async def begin(self, intent: Intent) -> None:
        self.began.append(intent)

    def progress(self, text: str) -> None:
        self.shown.append(text)

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self._answers.pop(0) if self._answers else Answer("decline", by="policy")

    async def login_env(self) -> Mapping[str, str]:
        return self._login

    async def permit(self, wanted: WantedCommand) -> Permit:
        self.wanted.append(wanted)
        if wanted.outside:
            answer = await self.ask(CommandQuestion(wanted.script, str(wanted.command.cwd)))
            if not answer.yes:
                raise Declined("No.")
        policy = Policy(Mode.WORKSPACE_WRITE, self.cwd)
        return Permit(wanted.command, policy, outside=wanted.outside)

    async def spawn(self, permit: Permit) -> Process:
        return await spawn_plain(permit.command)

    async def blocked(self, permit: Permit, told: set[str]) -> Sequence[str]:
        return self.blocked_hosts

    async def look(self, paths: Sequence[Path]) -> list[FileState]:
        return [_state(path) for path in paths]

    async def change(self, changes: Sequence[FileChange], *, granted: Sequence[Path] = ()) -> None:
        self.granted.append(granted)
        roots = [*self.writable_roots, *granted]
        for change in changes:
            if not any(change.path.is_relative_to(root) for root in roots):
                raise FileChangeRefused("No.", path=change.path, reason="outside")
        for change in changes:
            if isinstance(change, Write):
                change.path.write_bytes(change.data)
            else:
                change.path.unlink()

    async def keep_output(self) -> OutputFile:
        if self.disk_is_full:
            return FullDisk()
        path = self.cwd / f"{self.call_id}.{len(self.kept)}.log"
        self.kept.append(path)
        return KeptFile(path)

    def ended(self, facts: CallFacts) -> None:
        self.ends.append(facts)


def _state(path: Path) -> FileState:
    if path.is_dir():
        return FileState("directory", real_path=path.resolve())
    if path.is_file():
        return FileState("file", path.read_bytes(), path.stat().st_mode & 0o777, path.resolve())
    return FileState("missing", real_path=path.resolve())


@asynccontextmanager
async def hands_in(cwd: Path, **options: object) -> AsyncIterator[PlainHands]:
    """Give hands whose commands are gone afterwards."""
    async with CommandSessions() as sessions:
        yield PlainHands(sessions, cwd, **options)


async def until(claim: object, within_s: float = 10) -> None:
    """Wait until `claim()` is true; fail when it takes too long."""
    assert callable(claim)
    with anyio.fail_after(within_s):
        while not claim():
            await anyio.sleep(0.01)
