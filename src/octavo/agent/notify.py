"""The person's `notify` program, called when a turn is complete.

It is theirs, from their own settings alone, and runs outside of any cage. It gets what Codex gives
it: one more argument, a JSON object. It is started and left alone: nothing of the turn waits for
it, and it may outlive octavo, but not its time: a process of its own ends its whole group then.
It starts in octavo's own directory, and no folder that commands can write is in its `PATH`: what
is found by chance there could be the model's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

TIMEOUT_S = 60
ARGUMENT_LIMIT_BYTES = 96 << 10
"""One argument may have 128 KiB on Linux."""

_KEEPER = """\
import os, signal, sys
os.chdir(sys.argv[2])
signal.signal(signal.SIGALRM, lambda *_: os.killpg(0, signal.SIGKILL))
signal.alarm(int(sys.argv[1]))
child = os.posix_spawn(sys.argv[3], sys.argv[4:], os.environ)
os.waitpid(child, 0)
"""


class TurnComplete(msgspec.Struct, frozen=True, rename="kebab", tag="agent-turn-complete"):
    """What the program is told."""

    thread_id: str
    turn_id: str
    cwd: str
    client: str
    input_messages: Sequence[str]
    last_assistant_message: str | None


class Notifier:
    """Starts the program, and takes leave of those that have ended."""

    def __init__(
        self,
        program: Sequence[str],
        env: Mapping[str, str],
        home: Path,
        *,
        timeout_s: int = TIMEOUT_S,
    ) -> None:
        """Prepare it.

        Args:
            program: with its arguments.
            env: octavo's own environment.
            home: where it is started.
        """
        self._timeout_s = timeout_s
        self._program = list(program)
        self._env = dict(env)
        self._home = home if home.is_dir() else Path("/")
        self._started: list[int] = []

    def notify(self, told: TurnComplete, writable: Sequence[Path] = ()) -> str | None:
        """Start the program; return why it could not be, as a sentence.

        Args:
            writable: where commands of the model write.
        """
        from octavo.agent.ssh_remote import path_without

        env = {**self._env, "PATH": path_without(self._env.get("PATH", os.defpath), writable)}
        self._started = [pid for pid in self._started if not _has_ended(pid)]
        name = self._program[0]
        found = _found(name, env)
        if found is None:
            return f"The program of `notify`, {name}, is not there or cannot be executed."
        keeper = [sys.executable, "-I", "-S", "-c", _KEEPER, str(self._timeout_s)]
        argv = [*keeper, str(self._home), found, *self._program, _argument(told)]
        silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        try:
            pid = os.posix_spawn(sys.executable, argv, env, file_actions=silent, setsid=True)
        except (OSError, ValueError) as error:
            return f"The program of `notify`, {name}, could not be started: {error}."
        self._started.append(pid)
        return None


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return True


def _found(name: str, env: Mapping[str, str]) -> str | None:
    if "/" in name:
        places = [name] if os.path.isabs(name) else []
    else:
        folders = filter(os.path.isabs, env.get("PATH", os.defpath).split(":"))
        places = [os.path.join(folder, name) for folder in folders]
    usable = (p for p in places if os.access(p, os.X_OK) and not Path(p).is_dir())
    return next(usable, None)


def _argument(told: TurnComplete) -> str:
    """Return what is told as JSON that fits into one argument: the long parts are cut."""
    data = _encoded(told)
    for most in (8_000, 1_000, 0):
        if len(data) <= ARGUMENT_LIMIT_BYTES:
            break
        last = told.last_assistant_message
        data = _encoded(
            msgspec.structs.replace(
                told,
                input_messages=[text[:most] for text in told.input_messages[:8]],
                last_assistant_message=None if last is None else last[:most],
            )
        )
    return data.decode()


def _encoded(told: TurnComplete) -> bytes:
    try:
        return msgspec.json.encode(told)
    except UnicodeEncodeError:  # half a surrogate pair, or a folder's name that is no text
        last = told.last_assistant_message
        plain = msgspec.structs.replace(
            told,
            cwd=_text(told.cwd),
            input_messages=[_text(text) for text in told.input_messages],
            last_assistant_message=None if last is None else _text(last),
        )
        return msgspec.json.encode(plain)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
