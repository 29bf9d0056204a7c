"""Pairs of unix datagram sockets, for commands that ask for one.

A real one can be sent from to any path, and so to programs of the host, without connecting; there
is nobody to ask about that. So a command gets a pair that keeps packets apart as well but can only
send to its other end. What differs: the end of one is seen at the other, as with a stream.
"""

from __future__ import annotations

import _socket
import errno
import os

from . import abi

_TYPE, _ANY_PROTOCOL, _UNIX_PROTOCOL = 0xF, 0, 1


def make(listener: int, note: bytes) -> int:
    """Give the thread that asked a pair; return the errno, 0 for none."""
    thread = int.from_bytes(note[8:12], "little")
    kind = int.from_bytes(note[40:44], "little")
    protocol = int.from_bytes(note[48:52], "little")
    numbers_at = int.from_bytes(note[56:64], "little")
    flags = kind & ~_TYPE
    if flags & ~(_socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC):
        return errno.EINVAL
    if protocol not in (_ANY_PROTOCOL, _UNIX_PROTOCOL):
        return errno.EPROTONOSUPPORT
    packets = _socket.SOCK_SEQPACKET | flags & _socket.SOCK_NONBLOCK
    new_flags = os.O_CLOEXEC if flags & _socket.SOCK_CLOEXEC else 0
    given = b""
    ends = _socket.socketpair(_socket.AF_UNIX, packets)
    try:
        for end in ends:
            number = abi.give_descriptor(listener, note[:8], end.fileno(), new_flags)
            given += number.to_bytes(4, "little")
    finally:
        for end in ends:
            end.close()
    abi.write_memory(thread, numbers_at, given)
    return 0
