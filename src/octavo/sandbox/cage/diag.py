"""Which unix sockets there are in this process's network namespace, as the kernel tells."""

from __future__ import annotations

import _socket
import errno
import os

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST_ALL, _ERROR, _DONE = 0x301, 2, 3
_SHOW_NAME, _SHOW_FILE = 1, 2
_NO_COOKIE = 0xFFFFFFFF
_LISTENS, _IS_FRESH = 1 << 10, 1 << 7
_HEADER, _MESSAGE, _ATTRIBUTE = 16, 16, 4
_NAME, _FILE = 0, 1
_BUFFER_BYTES = 1 << 16
_NOWHERE = (0, 0, b"")

Found = tuple[int, int, int, bytes]
"""Number of the socket, inode and device of its file, and its name, which may have no file."""


def bound_to(device: int, inode: int) -> list[int]:
    """Return the sockets that are bound to a file. Of the inode the last 32 bits are compared."""
    low = inode & 0xFFFFFFFF
    return [
        number for number, file, disk, _ in listeners() if (file, disk) == (low, device) and file
    ]


def named(name: bytes) -> list[int]:
    """Return the sockets that have an abstract name, which begins with a zero byte."""
    return [number for number, _, _, called in listeners() if called == name]


def listeners() -> list[Found]:
    """Return all unix sockets of this network namespace that are not connected.

    Raises:
        OSError: the kernel does not tell.
    """
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG)
    try:
        fields = (_socket.AF_UNIX, _LISTENS | _IS_FRESH, 0, _SHOW_NAME | _SHOW_FILE) + (
            _NO_COOKIE,
        ) * 2
        wanted = b"".join(field.to_bytes(4, "little") for field in fields)
        head = (_HEADER + len(wanted)).to_bytes(4, "little")
        head += _SOCK_DIAG_BY_FAMILY.to_bytes(2, "little") + _REQUEST_ALL.to_bytes(2, "little")
        sock.send(head + bytes(8) + wanted)
        found: list[Found] = []
        while _read_into(found, sock.recv(_BUFFER_BYTES)):
            pass
    finally:
        sock.close()
    return found


def _read_into(found: list[Found], packet: bytes) -> bool:
    """Read one packet; False at the last."""
    at = 0
    while at + _HEADER <= len(packet):
        length = int.from_bytes(packet[at : at + 4], "little")
        kind = int.from_bytes(packet[at + 4 : at + 6], "little")
        if kind == _DONE:
            return False
        if kind == _ERROR or length < _HEADER:
            code = -int.from_bytes(packet[at + 16 : at + 20], "little", signed=True)
            raise OSError(code or errno.EIO, f"sock_diag: {os.strerror(code)}")
        found.append(_socket_in(packet[at + _HEADER : at + length]))
        at += (length + 3) & ~3
    return True


def _socket_in(message: bytes) -> Found:
    number = int.from_bytes(message[4:8], "little")
    inode, device, name = _NOWHERE
    at = _MESSAGE
    while at + _ATTRIBUTE <= len(message):
        length = int.from_bytes(message[at : at + 2], "little")
        kind = int.from_bytes(message[at + 2 : at + 4], "little")
        value = message[at + _ATTRIBUTE : at + length]
        if length < _ATTRIBUTE:
            break
        if kind == _NAME:
            name = value
        elif kind == _FILE:
            inode = int.from_bytes(value[:4], "little")
            encoded = int.from_bytes(value[4:8], "little")
            device = os.makedev(encoded >> 20, encoded & 0xFFFFF)
        at += (length + 3) & ~3
    return number, inode, device, name
