"""What the supervisor and the cage say to each other.

Messages are one packet each, over a SEQPACKET socket. The first byte is the word; what is too
large for a packet travels in a memory file. Everything that comes *out* of the cage is fixed
fields and raw bytes, never a Python value: nothing in there is trusted to be parsed freely.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KEEPER = b"k"
"""To the nursery, with a socket: a keeper for it. From the nursery, with a pidfd: it is there."""
ORDERS = b"o"
"""To the keeper, with the orders' values: the cage it shall build."""
MORE = b"x"
"""To the zygote: make one more init, for each such byte."""
HIDE, HOLD = b"h", b"p"
"""To the zygote, with a list of paths: mask these as well; make these read-only as well."""
READY, FAILED = b"R", b"F"
"""From the zygote: what it is, with the protected paths in a memory file and the listeners of its
network, or why it is not; text follows."""
REFUSED = b"w"
"""From the keeper, with lines: a mechanism that does not hold here; the next one is tried."""
INIT = b"i"
"""From the zygote, with (socket, pidfd): an init that waits for its one request."""

WALLS, PROVE = b"W", b"P"
"""To an init of bubblewrap's, with values: its walls; its walls and what to try."""
UP = b"u"
"""From an init of bubblewrap's: its walls stand. One that ends without was not built."""
RUN, LOOK, CHANGE, TREE = b"r", b"l", b"c", b"t"
"""To an init, with a value (and the command's pipes for RUN): its one request."""
STARTED = b"s"
"""From an init, with the terminal if there is one: the command runs."""
NOT_STARTED = b"n"
"""From an init: two fields follow, what failed (`STEPS`) and the errno."""
ENDED = b"e"
"""From an init: the wait status follows; whatever the command left is gone."""
RESULT = b"o"
"""From an init: file results follow, with a memory file for LOOK."""

REFUSED_TREE = b"N"
"""From an init: a TREE was not done; which path, the reason and a text follow."""

BROKER_BEGIN, BROKER_READY = b"b", b"."
"""To the broker: the walls stand, get ready. From it: it is."""
BROKER_ASKED, BROKER_DISTURBED = b"a", b"d"
"""To the broker, with where the kernel asks: its answers are heard; or signals can prevent that."""

WITH_NAMESPACES = ("namespaces", "bubblewrap")
"""Mechanisms whose commands end, and whose mounts are made, with namespaces."""

STEP_CWD, STEP_PROGRAM, STEP_TERMINAL = 1, 2, 3

PACKET_BYTES = 65536
_INLINE_BYTES = 32768
_INT_BYTES = 4
_MSG_CMSG_CLOEXEC = 0x40000000


def paths(fds: list[int]) -> list[str]:
    """Return the paths in the memory file that came with READY, and close it."""
    listed = b""
    for fd in fds:
        listed += _read_memory_file(fd)
        os.close(fd)
    return [os.fsdecode(path) for path in listed.split(b"\0") if path]


def memory_file(data: bytes) -> int:
    """Return a descriptor of a file in memory that holds `data`."""
    fd = os.memfd_create("octavo", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def _read_memory_file(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    parts: list[bytes] = []
    at = 0
    while at < size:
        parts.append(os.pread(fd, size - at, at))
        if not parts[-1]:
            break
        at += len(parts[-1])
    return b"".join(parts)


def ask(sock: _socket.socket, word: bytes, value: Any, fds: tuple[int, ...] = ()) -> None:
    """Send a word with a value of the supervisor's to the cage."""
    data = marshal.dumps(value)
    if len(data) <= _INLINE_BYTES:
        send(sock, word + data, fds)
        return
    file = memory_file(data)
    try:
        send(sock, word, (*fds, file))
    finally:
        os.close(file)


def asked(message: bytes, fds: list[int]) -> Any:
    """Return the value that came with a word; its descriptor, if it had one, is taken off `fds`.

    For the cage's side only: just the supervisor can have written it.
    """
    data = message[1:]
    if not data:
        file = fds.pop()
        data = _read_memory_file(file)
        os.close(file)
    return marshal.loads(data)  # noqa: S302  # octavo's own words to its own process


def send(sock: _socket.socket, data: bytes, fds: tuple[int, ...] = ()) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _encode(fds))] if fds else []
    sock.sendmsg([data], rights, _socket.MSG_NOSIGNAL)


def receive(sock: _socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    """Return a packet and its descriptors, which are not inherited; b"" at the end."""
    try:
        data, ancillary, _, _ = sock.recvmsg(PACKET_BYTES, 256, flags | _MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return b"", []
    fds: list[int] = []
    for level, kind, part in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            ends = range(_INT_BYTES, len(part) + 1, _INT_BYTES)
            fds += [int.from_bytes(part[end - _INT_BYTES : end], sys.byteorder) for end in ends]
    return data, fds


def _encode(fds: tuple[int, ...]) -> bytes:
    """Return descriptors as a C array of int; `array` would import all of `collections`."""
    return b"".join(fd.to_bytes(_INT_BYTES, sys.byteorder) for fd in fds)
