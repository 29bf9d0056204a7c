"""Name answers inside a cage: a made-up address for an allowed name, nothing for all others.

No question ever leaves: an answer says only that the name is allowed, and the real address is
looked up outside when a connection is made. So names cannot carry data out. What is malformed is
not answered.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address

TTL_S = 5
MAX_NAMES = 4096
_FIRST = int(IPv4Address("127.1.0.1"))

_HEADER = struct.Struct(">HHHHHH")
_QUESTION = struct.Struct(">HH")
_RESPONSE = 0x8000
_RECURSION_DESIRED = 0x0100
_RECURSION_AVAILABLE = 0x0080
_OPCODE = 0x7800
_NO_SUCH_NAME = 3
_NOT_IMPLEMENTED = 4
_REFUSED = 5
_IN = 1
_A = 1
_AAAA = 28


class Pool:
    """Made-up addresses in 127.1.0.0/16, one a name; the one longest unused is given away."""

    def __init__(self, size: int = MAX_NAMES) -> None:
        self._size = size
        self._addresses: OrderedDict[str, str] = OrderedDict()
        self._names: dict[str, str] = {}

    def address_of(self, name: str) -> str:
        """Return the address that stands for a canonical name."""
        address = self._addresses.get(name)
        if address is None:
            if len(self._addresses) < self._size:
                address = str(IPv4Address(_FIRST + len(self._addresses)))
            else:
                _, address = self._addresses.popitem(last=False)
            self._addresses[name] = address
            self._names[address] = name
        self._addresses.move_to_end(name)
        return address

    def name_of(self, address: str) -> str | None:
        """Return the name an address stands for."""
        return self._names.get(address)


def answer(packet: bytes, pool: Pool, resolvable: Callable[[str], bool]) -> bytes | None:
    """Return the answer to one question; None if the packet is not to be answered.

    Args:
        packet: as it came, without the length that TCP puts before it.
        pool: gives the addresses.
        resolvable: whether a name, as it was written, may be known.
    """
    if len(packet) < _HEADER.size:
        return None
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(packet)
    if flags & _RESPONSE or questions != 1 or answers or authorities or additional > 2:
        return None
    found = _question(packet)
    if found is None:
        return None
    name, kind, family, end = found
    code, records = 0, b""
    if flags & _OPCODE:
        code = _NOT_IMPLEMENTED
    elif family != _IN:
        code = _REFUSED
    elif not resolvable(name):
        code = _NO_SUCH_NAME
    elif kind not in (_A, _AAAA):
        code = _REFUSED
    elif kind == _A:
        address = IPv4Address(pool.address_of(name.lower().removesuffix(".")))
        records = struct.pack(">HHHIH", 0xC00C, _A, _IN, TTL_S, 4) + address.packed
    said = _RESPONSE | flags & (_OPCODE | _RECURSION_DESIRED) | _RECURSION_AVAILABLE | code
    header = _HEADER.pack(number, said, 1, 1 if records else 0, 0, 0)
    return header + packet[_HEADER.size : end] + records


def _question(packet: bytes) -> tuple[str, int, int, int] | None:
    """Return name, type and class of the question, and where it ends."""
    at = _HEADER.size
    labels: list[str] = []
    while True:
        if at >= len(packet):
            return None
        length = packet[at]
        at += 1
        if not length:
            break
        label = packet[at : at + length]
        # A dot inside a label would make another name of it.
        if length > 63 or len(label) < length or b"." in label:
            return None
        labels.append(label.decode("latin-1"))
        at += length
    if at - _HEADER.size > 255 or len(packet) < at + _QUESTION.size or not labels:
        return None
    kind, family = _QUESTION.unpack_from(packet, at)
    name = ".".join(labels)
    if not name.isascii():
        return None
    return name, kind, family, at + _QUESTION.size
