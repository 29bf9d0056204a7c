"""What the supervisor and the cage say to each other.

Messages are one packet each, over a SEQPACKET socket. The first byte is the word; what is large
or is a list of strings travels in a memory file. Everything that comes *out* of the cage is fixed
fields and raw bytes, never a Python value: nothing in there is trusted to be parsed freely.
"""

from __future__ import annotations

import _socket
import array
import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MORE = b"x"
"""To the zygote: make one more init, for each such byte."""
HIDE = b"h"
"""To the zygote, with a memory file: mask these paths as well."""
READY, FAILED = b"R", b"F"
"""From the zygote: what it is, or why it is not; text follows."""
INIT = b"i"
"""From the zygote, with (socket, pidfd): an init that waits for its one request."""

RUN, LOOK, CHANGE = b"r", b"l", b"c"
"""To an init, with a memory file (and the output pipe for RUN): its one request."""
STARTED = b"s"
"""From an init, with the terminal if there is one: the command runs."""
NOT_STARTED = b"n"
"""From an init: two fields follow, what failed (`STEPS`) and the errno."""
ENDED = b"e"
"""From an init: the wait status follows; whatever the command left is gone."""
RESULT = b"o"
"""From an init: file results follow, with a memory file for LOOK."""

STEP_CWD, STEP_PROGRAM, STEP_TERMINAL = 1, 2, 3

PACKET_BYTES = 65536
_MSG_CMSG_CLOEXEC = 0x40000000


def memory_file(data: bytes) -> int:
    """Return a descriptor of a file in memory that holds `data`."""
    fd = os.memfd_create("octavo", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


def read_memory_file(fd: int) -> bytes:
    """Return all of a memory file and close it."""
    try:
        size = os.fstat(fd).st_size
        parts: list[bytes] = []
        at = 0
        while at < size:
            parts.append(os.pread(fd, size - at, at))
            if not parts[-1]:
                break
            at += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)
    finally:
        os.close(fd)


def pack(value: Any) -> int:
    """Return a memory file with a value of the supervisor's, for the cage."""
    return memory_file(marshal.dumps(value))


def unpack(fd: int) -> object:
    """Read what `pack` wrote. For the cage's side only."""
    # Only the supervisor can have written it: its own words to its own processes.
    value: object = marshal.loads(read_memory_file(fd))  # noqa: S302
    return value


def send(sock: _socket.socket, data: bytes, fds: tuple[int, ...] = ()) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], rights, _socket.MSG_NOSIGNAL)


def receive(sock: _socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    """Return a packet and its descriptors, which are not inherited; b"" at the end."""
    try:
        data, ancillary, _, _ = sock.recvmsg(PACKET_BYTES, 256, flags | _MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return b"", []
    fds = array.array("i")
    for level, kind, part in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds.frombytes(part[: len(part) - len(part) % fds.itemsize])
    return data, fds.tolist()
