"""The start of a cage's keeper: a process that waits for orders at the other end of a socket.

What it does then is in `cage.main`. It costs nobody anything until it has its orders, so whoever
is about to need a cage can start it before they know which.
"""

from __future__ import annotations

import os
import socket
import sys

from octavo.protocol.errors import SandboxError

Keeper = tuple[socket.socket, int]
"""The socket to it, and its pid, which is the caller's to reap."""

_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from cage.main import main; main()"
_SOCKET_FD = 3


class Spare:
    """A keeper that was started beforehand, for the first cage that needs one."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper: Keeper | None = keeper

    def take(self) -> Keeper | None:
        """Return it, once."""
        keeper, self._keeper = self._keeper, None
        return keeper


def start_keeper() -> Keeper:
    """Start a keeper. Does not wait for it; it ends when its socket is closed."""
    if sys.platform != "linux":
        raise SandboxError(
            "octavo cannot run commands on this system yet: its sandbox works on Linux only.",
            hint="Run it in a Linux virtual machine or container.",
        )
    if not sys.executable:
        raise SandboxError("Python does not know its own path, so no cage can be started.")
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here = os.path.dirname(os.path.abspath(__file__))
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    with its:
        # A descriptor already at 3 must not be closed by its own copy.
        high = os.dup(its.fileno()) if its.fileno() == _SOCKET_FD else its.fileno()
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM, here],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, high, _SOCKET_FD), *null],
            setsigmask=[],
        )
        if high != its.fileno():
            os.close(high)
    return ours, pid
