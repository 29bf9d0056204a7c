"""A guard for a command that is not in a pid namespace of its own.

It stands outside the walls, adopts whatever the command leaves behind, and lets nothing of it
live: not after the command, not after the supervisor asked for its end, and not after the
supervisor is gone. Only then does it say how the command ended.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import errno
import os

from . import abi, command, init, words

_FREEZE_PASSES = 50
_SIGSTOP = 19
STATUS_BYTES = 4


class GuardedTier(init.Tier):
    """What is special about an init that has a guard: it tells the guard, not the supervisor."""

    def __init__(
        self, talk: _socket.socket, terminal: command.Terminal | None, held: Sequence[str]
    ) -> None:
        self._talk = talk
        self._terminal = terminal
        self.held = held

    def terminal(self) -> command.Terminal:
        if self._terminal is None:
            raise OSError(errno.ENODEV, "no terminal could be made")
        return self._terminal

    def begin(self) -> None:
        """Wait until the guard has looked at what it may have to put back."""
        self._talk.send(b"?")
        self._talk.recv(1)

    def end(self, status: int) -> None:
        self._talk.send(status.to_bytes(STATUS_BYTES, "little"))


def watch(
    held: int,
    talk: _socket.socket,
    supervisor: _socket.socket,
    before: Callable[[], None],
    after: Callable[[], None],
) -> None:
    """Guard one init until nothing of it is left, and tell the supervisor how its command ended.

    Args:
        held: the process that holds the command.
        talk: the init's socket to this guard.
        supervisor: where the command's end is told.
        before: called just before the command starts.
        after: called when nothing of it is left.
    """
    _signal.signal(command.SIGINT, lambda *_: send(held, command.SIGINT))
    _signal.signal(command.SIGTERM, lambda *_: send(held, command.SIGKILL))
    _signal.signal(command.SIGCHLD, lambda *_: _reap())
    abi.die_with_parent(command.SIGTERM)
    status = b""
    while message := _hear(talk):
        if message == b"?":
            before()
            talk.send(b"!")
        else:
            status = message
    kill_descendants()
    after()
    if len(status) == STATUS_BYTES:
        words.send(supervisor, words.ENDED + status)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _hear(talk: _socket.socket) -> bytes:
    try:
        return talk.recv(STATUS_BYTES)
    except OSError:
        return b""


def kill_descendants() -> None:
    """Kill and reap everything below this process, which adopts orphans.

    Everyone is stopped before anyone is killed, so that nobody can fork away meanwhile. And nobody
    else reaps: a child that was seen is there until it is waited for here, so that one whose own
    children have just become ours is not taken for the last.
    """
    _signal.signal(command.SIGCHLD, _signal.SIG_DFL)
    frozen: set[int] = set()
    for _ in range(_FREEZE_PASSES):
        found = set(descendants(os.getpid())) - frozen
        for pid in found:
            send(pid, _SIGSTOP)
        frozen |= found
        if not found:
            break
    while True:
        left = descendants(os.getpid())
        killed = [pid for pid in left if send(pid, command.SIGKILL)]
        try:
            os.waitpid(-1, 0 if killed else os.WNOHANG)
        except ChildProcessError:
            return
        if not killed:
            return


def descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, as they are now."""
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in children(parent)]
        found += level
    return found


def children(pid: int) -> list[int]:
    """Return the processes that `pid` is the parent of, as they are now; ended ones too."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for thread in threads:
        try:
            fd = os.open(f"/proc/{pid}/task/{thread}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            found += map(int, os.read(fd, 1 << 20).split())
        except OSError:
            continue
        finally:
            os.close(fd)
    return found


def send(pid: int, sig: int) -> bool:
    """Send a signal; False when it could not be."""
    try:
        os.kill(pid, sig)
    except OSError:
        return False
    return True


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
