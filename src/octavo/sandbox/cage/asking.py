"""The start of a cage's broker, and the filter with which the kernel asks it."""

from __future__ import annotations

import _socket
import errno
import os

from . import abi, bpf, broker, words


class Asking:
    """A broker on its way, which loads and gets ready beside what else has to be done."""

    def __init__(self, allowed: list[str], *, apart: bool) -> None:
        """Start it, for a process that is the first of its pid namespace.

        It shares this process's walls as soon as they stand.

        Args:
            allowed: unix sockets of the host that may be reached.
            apart: this process has a network namespace of its own. Otherwise a listener belongs
                to the cage if a process of it has it open.
        """
        self._sock, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            try:
                broker.be_broker(its.fileno(), allowed, apart=apart)
            finally:
                os._exit(0)
        its.close()

    def walls_stand(self) -> None:
        """Let it look at what is inside the walls from now on."""
        words.send(self._sock, words.BROKER_BEGIN)

    def begin(self) -> None:
        """Have it asked about this process and all that it starts from now on.

        Raises:
            OSError: this kernel cannot do it; nothing has changed.
        """
        try:
            said = self._sock.recv(1024)
            if said != words.BROKER_READY:
                why = said.decode("utf-8", "replace") or "the broker was killed"
                raise OSError(errno.ENOSYS, why)
            listener, disturbed = abi.load_asking_filter(bpf.asking())
            word = words.BROKER_DISTURBED if disturbed else words.BROKER_ASKED
            words.send(self._sock, word, (listener,))
            os.close(listener)
        finally:
            self._sock.close()
