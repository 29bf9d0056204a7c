"""The door through which git in the cage has ssh: the person's own, started outside of it.

No key, agent or address comes into the cage. Git starts a small program there (`ssh_relay`), which
hands git's pipes out over a socket that only this call has. Here its words are compared with what a
person was asked about; then the person's own ssh is started with those pipes and with arguments
that are all octavo's. So what is lent is one service of git, at one repository, for one call.
"""

from __future__ import annotations

import array
import hashlib
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec

from octavo.agent import ssh_relay, ssh_remote
from octavo.agent.git_cage import GitRefused
from octavo.agent.ssh_remote import SshAddress

_SESSIONS_LIMIT = 256
"""Of one call: each remote of `--all` is one, and so are the tags that follow."""
_SAID_LIMIT_BYTES = 4000
"""Of what ssh says; a pipe takes that much at once."""
_FDS = 3
_PROTOCOL = re.compile(rb"version=[0-2]")
_TO_A_SHELL = re.compile(r"[\s|&;<>()$`\\\"'*?\[#~=%]")
"""Git gives a program whose name has one of these to a shell, and there is none in the cage."""
_NOT_STARTED = 255


class Lent(msgspec.Struct, frozen=True):
    """One service of git at one repository: "git-upload-pack" to read, "git-receive-pack"."""

    address: SshAddress
    service: str

    @property
    def words(self) -> tuple[str, ...]:
        """What git says when it wants this one."""
        asks = ssh_remote.git_program(self.service, self.address.path)
        return *ssh_remote.git_words(self.address), asks


class _Asked(msgspec.Struct, frozen=True):
    words: tuple[bytes, ...]
    fds: tuple[int, ...]


class SshDoor:
    """What the calls of one script are lent over ssh.

    Attributes:
        env: what git is told about it.
        programs: what has to be executable for it.
    """

    def __init__(
        self, lent: Sequence[Lent], env: Mapping[str, str], home: Path, roots: Sequence[Path]
    ) -> None:
        """Prepare it.

        Args:
            lent: what git may have.
            env: octavo's own environment, with a `PATH` in which no command can have put a program.
            home: octavo's own directory, which no command can write.
            roots: where commands write.

        Raises:
            GitRefused: this machine cannot have such a door.
        """
        self._lent = {tuple(map(os.fsencode, one.words)): one for one in lent}
        self._env = env
        self._home = home
        python = Path(os.path.realpath(sys.executable))
        real = [Path(os.path.realpath(root)) for root in roots]
        for place in (python, Path(os.path.realpath(sys.base_prefix))):
            if any(root in (place, *place.parents) for root in real):
                raise GitRefused(
                    f"commands can write {place}, the Python that octavo runs on, so git gets no "
                    "ssh in the sandbox. Nothing was run. Leave it to the user, and say so."
                )
        relay = _relay(home, python)
        self.programs = (relay, python)
        self.env = {"GIT_SSH_COMMAND": str(relay), "GIT_SSH_VARIANT": "ssh"}

    async def answer(self, line: socket.socket) -> None:
        """Start an ssh for each that git wants, until the other end is gone.

        Cancelled, it ends those that run.
        """
        line.setblocking(False)
        waiting: list[_Asked] = []
        try:
            async with anyio.create_task_group() as group:
                for _ in range(_SESSIONS_LIMIT):
                    await anyio.wait_readable(line)
                    asked = _receive(line)
                    if asked is None:
                        return
                    waiting.append(asked)
                    group.start_soon(self._serve, asked, waiting)
        finally:
            for asked in waiting:  # cancelled before they began
                _close(asked.fds)

    async def _serve(self, asked: _Asked, waiting: list[_Asked]) -> None:
        waiting.remove(asked)
        status, said = _NOT_STARTED, ""
        try:
            if not _are_pipes(asked.fds):
                return
            protocol, *words = asked.words or (b"",)
            one = self._lent.get(_plain(words))
            if one is None:
                said = "octavo: git wanted another service over ssh than was asked about.\n"
            else:
                try:
                    status, said = await self._run(one, protocol, asked.fds)
                except (GitRefused, OSError) as failure:  # gone since it was asked where it leads
                    said = f"octavo: ssh cannot be started: {failure}\n"
            _tell(asked.fds[2], status, said)
        finally:
            _close(asked.fds)

    async def _run(self, one: Lent, protocol: bytes, fds: Sequence[int]) -> tuple[int, str]:
        import subprocess

        env = ssh_remote.own_env(self._env)
        if _PROTOCOL.fullmatch(protocol):
            env["GIT_PROTOCOL"] = protocol.decode()
        process = await anyio.open_process(
            ssh_remote.outside_argv(one.address, one.service, env),
            stdin=fds[0],
            stdout=fds[1],
            stderr=subprocess.PIPE,
            cwd=self._home,
            env=env,
            start_new_session=True,
        )
        said = bytearray()
        async with process:
            try:
                if process.stderr is not None:
                    async for part in process.stderr:
                        said += part[: _SAID_LIMIT_BYTES - len(said)]
                status = await process.wait()
            except BaseException:
                if process.returncode is None:  # so the id is still its own
                    _end(process.pid)
                raise
        text = said.decode("utf-8", "replace")
        hint = ssh_remote.hint(one.address, text, env) if status == _NOT_STARTED else ""
        return (status if 0 <= status <= _NOT_STARTED else _NOT_STARTED), text + hint


def _relay(home: Path, python: Path) -> Path:
    """Return the program that git starts, which is made where no command can write."""
    text = f"#!{python} -IS\n{Path(ssh_relay.__file__).read_text()}".encode()
    path = home / "cache" / f"ssh-{hashlib.sha256(text).hexdigest()[:16]}"
    if _TO_A_SHELL.search(str(path)) or re.search(r"\s", str(python)):
        raise GitRefused(
            f"git cannot start {path}, because of the characters in that name, so it gets no ssh "
            "in the sandbox. Nothing was run. The user can set OCTAVO_HOME to a plain path."
        )
    if path.is_file() and path.read_bytes() == text:
        return path
    new = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(text)
        new.chmod(0o500)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise GitRefused(
            f"{path}, through which git gets ssh in the sandbox, cannot be written: "
            f"{error.strerror}. Nothing was run. Leave it to the user, and say so."
        ) from None
    return path


def _receive(line: socket.socket) -> _Asked | None:
    """Return what one relay wants; None when there is nobody left who could want something."""
    room = socket.CMSG_SPACE(_FDS * array.array("i").itemsize)
    try:
        data, ancillary, _, _ = line.recvmsg(
            ssh_relay.WORDS_LIMIT_BYTES, room, socket.MSG_CMSG_CLOEXEC
        )
    except BlockingIOError:
        return _Asked((), ())
    except OSError:
        return None
    fds = array.array("i")
    for level, kind, part in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(part[: len(part) - len(part) % fds.itemsize])
    if not data and not fds:
        return None
    return _Asked(tuple(data.split(b"\0")), tuple(fds))


def _are_pipes(fds: Sequence[int]) -> bool:
    """Whether these are a relay's: nothing else of the cage's comes near an ssh out here."""
    return len(fds) == _FDS and all(stat.S_ISFIFO(os.fstat(fd).st_mode) for fd in fds)


def _plain(words: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the words without the options that git adds and that change nothing here."""
    left = list(words)
    while left[:2] == [b"-o", b"SendEnv=GIT_PROTOCOL"]:
        left = left[2:]
    while left[:1] in ([b"-4"], [b"-6"]):
        left = left[1:]
    return tuple(left)


def _tell(fd: int, status: int, said: str) -> None:
    os.set_blocking(fd, False)
    try:
        os.write(fd, bytes((status,)) + said.encode()[:_SAID_LIMIT_BYTES])
    except OSError:
        return  # whoever asked is gone


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _end(pid: int) -> None:
    """End what an ssh started: the program that leads to the host, for one."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        return
