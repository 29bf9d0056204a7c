"""The start of a cage's keeper: a process that waits for orders at the other end of a socket.

What it does then is in `sandbox.cage.main`. It costs nobody anything until it has its orders, so
whoever is about to need a cage can start it before they know which; that is why nothing else of
octavo is loaded for it.
"""

from __future__ import annotations

import errno
import os
import sys
from _socket import AF_UNIX, SOCK_SEQPACKET
from _socket import socketpair as _socketpair

Ends = tuple[int, int]
"""The descriptor of the socket to it, and its pid, which is the caller's to reap."""

_PROGRAM = "import sys; sys.path.append(sys.argv[1]); from cage.{} import main; main()"
_SOCKET_FD = 3


def start(what: str = "main") -> Ends:
    """Start a keeper. Does not wait for it; it ends when its socket is closed.

    Args:
        what: the module of `sandbox.cage` that it is to run.

    Raises:
        OSError: the system is not Linux, or Python cannot be started.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "there are no cages here")
    ours, its = _socketpair(AF_UNIX, SOCK_SEQPACKET)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sandbox")
    null = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    # A descriptor already at 3 must not be closed by its own copy.
    high = os.dup(its.fileno()) if its.fileno() == _SOCKET_FD else its.fileno()
    try:
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM.format(what), here],
            {},
            file_actions=[(os.POSIX_SPAWN_DUP2, high, _SOCKET_FD), *null],
            setsigmask=[],
        )
    finally:
        if high != its.fileno():
            os.close(high)
        its.close()
    return ours.detach(), pid
