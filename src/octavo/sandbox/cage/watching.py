"""One memory of the protected names for all commands of a reduced cage.

The keeper holds it, so that a command cannot leave its damage as what the next one is compared
with: it is taken when the first of several commands begins and dropped when the last has ended.
Guards ask over a socket of their own; a guard that is gone counts as a command that has ended.
"""

from __future__ import annotations

import _socket
import select

from . import restore

BEGINS, ENDED = b"b", b"e"
"""From a guard: a command is about to start; nothing of it is left."""
_DONE = b"."


class Watching:
    """The memory, and who asks for it."""

    def __init__(self, roots: list[str], names: list[str], others: list[str]) -> None:
        self._roots, self._names, self._others = roots, names, others
        self._guards: dict[int, _socket.socket] = {}
        self._running: set[int] = set()
        self._watch: restore.Watch | None = None
        self._poll = select.poll()

    def hear(self) -> _socket.socket:
        """Return a guard's end of a new socket."""
        ours, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._guards[ours.fileno()] = ours
        self._poll.register(ours.fileno(), select.POLLIN)
        return its

    def serve_until(self, sock: _socket.socket) -> None:
        """Answer guards until `sock` has something to read."""
        self._poll.register(sock.fileno(), select.POLLIN)
        while True:
            ready = [fd for fd, _ in self._poll.poll()]
            for fd in ready:
                if fd in self._guards:
                    self._answer(fd)
            if sock.fileno() in ready:
                return

    def _answer(self, fd: int) -> None:
        guard = self._guards[fd]
        try:
            asked = guard.recv(1)
            if asked == BEGINS:
                self._begin(fd)
            else:
                self._end(fd)
            if asked:
                guard.send(_DONE)
                return
        except OSError:
            self._end(fd)
        self._poll.unregister(fd)
        self._guards.pop(fd).close()

    def _begin(self, fd: int) -> None:
        if self._watch is None:
            self._watch = restore.Watch(self._roots, self._names, self._others)
        self._running.add(fd)

    def _end(self, fd: int) -> None:
        if fd not in self._running:
            return
        self._running.discard(fd)
        self.put_back()
        if not self._running and self._watch is not None:
            self._watch.close()
            self._watch = None

    def put_back(self) -> None:
        """Make the protected names what they were when the first command began."""
        if self._watch is not None:
            self._watch.put_back()

    def forget(self) -> None:
        """Let go of the guards: in a guard itself, and when no command is started any more."""
        for guard in self._guards.values():
            guard.close()
        self._guards.clear()


def ask(asks: _socket.socket, what: bytes) -> None:
    """Ask the keeper and wait until it has done it; one that is gone has other worries."""
    try:
        asks.send(what, _socket.MSG_NOSIGNAL)
        asks.recv(1)
    except OSError:
        return
