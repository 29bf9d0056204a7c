"""A cage's keeper, as the supervisor holds it; see `octavo.keeper`."""

from __future__ import annotations

import _socket
import sys
from typing import NamedTuple

from octavo import keeper
from octavo.protocol.errors import SandboxError

Keeper = tuple[_socket.socket, int]
"""The socket to it, and its pid, which is the caller's to reap."""


class Forked(NamedTuple):
    """A keeper that another process has forked, and reaps."""

    socket: _socket.socket
    pidfd: int
    """The caller's to close."""


class Spare:
    """A keeper that was started beforehand, for the first cage that needs one."""

    def __init__(self, keeper: Keeper | Forked) -> None:
        self._keeper: Keeper | Forked | None = keeper

    def take(self) -> Keeper | Forked | None:
        """Return it, once."""
        keeper, self._keeper = self._keeper, None
        return keeper


def start_keeper(what: str = "main") -> Keeper:
    """Start a keeper. Does not wait for it; it ends when its socket is closed.

    Args:
        what: as in `octavo.keeper.start`.

    Raises:
        SandboxError: the system is not Linux, or Python cannot be started.
    """
    if sys.platform != "linux":
        raise SandboxError(
            "octavo cannot run commands on this system yet: its sandbox works on Linux only.",
            hint="Run it in a Linux virtual machine or container.",
        )
    try:
        return started(keeper.start(what))
    except OSError as error:
        raise SandboxError(f"Python cannot be started for a cage: {error.strerror}.") from None


def started(ends: keeper.Ends) -> Keeper:
    """Return a keeper that `octavo.keeper.start` has started."""
    fd, pid = ends
    return _socket.socket(fileno=fd), pid
