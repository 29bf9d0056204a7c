"""Where keepers come from when many are needed; see `cage.nursery`."""

from __future__ import annotations

import _socket
import os

import anyio

from octavo.protocol.errors import SandboxError
from octavo.sandbox.cage import words
from octavo.sandbox.keeper import Forked, start_keeper

_CLOSE_S = 2.0


class Nursery:
    """The supervisor's end of it. Starting it is in the background.

    Attributes:
        pid: the process, which is reaped by `close`.

    Raises:
        SandboxError: the system is not Linux, or Python cannot be started.
    """

    def __init__(self) -> None:
        self._socket, self.pid = start_keeper("nursery")
        self._asking = anyio.Lock(fast_acquire=True)

    async def keeper(self) -> Forked:
        """Return a new keeper.

        Raises:
            SandboxError: the nursery has ended.
        """
        ours, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            async with self._asking:
                words.send(self._socket, words.KEEPER, (its.fileno(),))
                with anyio.CancelScope(shield=True):  # its answer is nobody else's
                    await anyio.wait_readable(self._socket)
                message, fds = words.receive(self._socket)
        except OSError:
            message, fds = b"", []
        finally:
            its.close()
        if message != words.KEEPER or not fds:
            ours.close()
            raise SandboxError("The process that starts cages has ended.")
        return Forked(ours, fds[0])

    async def close(self) -> None:
        """End it, and wait until it has; its keepers live as long as their own sockets."""
        if self._socket.fileno() < 0:
            return
        anyio.notify_closing(self._socket)
        self._socket.close()
        pidfd = os.pidfd_open(self.pid)
        try:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
        os.waitpid(self.pid, os.WNOHANG)  # noqa: ASYNC222  # it has ended: see above
