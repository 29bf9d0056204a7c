"""Calls made from the protocol's types and spoilt here and there: many, fast, and from a seed.

Hypothesis takes a millisecond or more to make one such call, and remembers all of them; this takes
a tenth. It shrinks nothing: what fails is one call, which is shown.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import msgspec.inspect as look

from octavo.protocol import schema

THREAD = "@thread"
"""Stands for the id of a thread that is there."""
WORDS = (
    *(THREAD, THREAD, "", "\0", "../..", "/no/such", "~", "x" * 5000, "ü\x1b[2J", "1", "-1", "."),
    *("\ud800", "a\nb", "%s{}", "null", "[]", "😀" * 9, "-c", "--", "/dev/null", "file:///etc"),
)
DEEP = (b"[" * 2000, b'{"a":' * 2000, b'"', b"\\u", b"9" * 400)
NUMBERS = (0, 1, -1, 2**31, 2**63, -(2**63), 2**64, 10**40, 0.5, -0.0, 1e308, 1e-300)
TYPES = {name: look.type_info(it.params) for name, it in schema.client_requests().items()}
SPOILT = 8
"""One field in so many is anything."""


def call(chance: Random, name: str) -> Any:
    """Parameters for a method, in the wrong types and sizes now and then."""
    return _spoilt(chance, TYPES[name], 0)


def frame(chance: Random) -> bytes:
    """A line that was a message once."""
    parts: dict[str, Any] = {}
    if chance.random() < 0.8:
        parts["id"] = anything(chance)
    if chance.random() < 0.7:
        parts["method"] = anything(chance) if chance.randrange(4) == 0 else _word(chance)
    for name in ("params", "result", "error", "jsonrpc"):
        if chance.random() < 0.3:
            parts[name] = anything(chance)
    data = bytearray(msgspec.json.encode(parts))
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(4):
            case 0:
                del data[at : at + chance.randrange(1, 9)]
            case 1:
                data[at:at] = bytes([chance.randrange(256)])
            case 2:
                data[at:at] = data[: chance.randrange(len(data) + 1)]
            case _:
                data[at:at] = chance.choice(
                    (b"[" * 2000, b'{"a":' * 2000, b'"', b"\\u", b"9" * 400)
                )
    return bytes(data)


def websocket_frames(chance: Random) -> bytes:
    """What a client could send at a websocket, masked or not, whole or not."""
    data = b""
    for _ in range(chance.randrange(1, 6)):
        opcode = chance.choice((0, 1, 1, 1, 2, 8, 9, 10, chance.randrange(16)))
        head = opcode | chance.choice((0, 0x80, 0x80, 0x80, chance.randrange(256) & 0xF0))
        size = chance.choice((0, 1, 5, 125, 126, 200, 3000, 5000))
        mask = 0x80 if chance.randrange(12) else 0
        if size < 126:
            data += bytes((head, mask | size))
        else:
            data += bytes((head, mask | 126)) + size.to_bytes(2)
        data += chance.randbytes(4) * (mask > 0) + chance.randbytes(size)
        if chance.randrange(20) == 0:
            data = data[: chance.randrange(len(data) + 1)]
        if chance.randrange(20) == 0:
            data += bytes((0x81, 0xFF)) + chance.randbytes(8)
    return data


def anything(chance: Random, depth: int = 0) -> Any:
    """Any JSON."""
    match chance.randrange(9 if depth < 4 else 6):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2:
            return chance.choice(NUMBERS)
        case 3:
            return chance.randrange(-(2**70), 2**70)
        case 4 | 5:
            return _word(chance)
        case 6 | 7:
            return [anything(chance, depth + 1) for _ in range(chance.randrange(4))]
        case _:
            few = range(chance.randrange(4))
            return {_word(chance): anything(chance, depth + 1) for _ in few}


def _word(chance: Random) -> str:
    if chance.random() < 0.6:
        return chance.choice(WORDS).encode("utf-8", "replace").decode()
    letters = chr(chance.choice((chance.randrange(128), chance.randrange(0xD800))))
    return letters * chance.randrange(1, 9)


def _spoilt(chance: Random, kind: look.Type, depth: int) -> Any:
    if chance.randrange(SPOILT) == 0:
        return anything(chance)
    return _fitting(chance, kind, depth)


def _fitting(chance: Random, kind: look.Type, depth: int) -> Any:
    match kind:
        case look.StructType():
            made = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
            for field in kind.fields:
                # Optional ones are given half the time, and not for ever where types nest.
                if field.required or (depth < 6 and chance.random() < 0.5):
                    made[field.encode_name] = _spoilt(chance, field.type, depth + 1)
            return made
        case look.UnionType():
            return _fitting(chance, chance.choice(kind.types), depth)
        case look.LiteralType():
            return chance.choice(kind.values)
        case look.VarTupleType() | look.ListType():
            few = range(chance.randrange(4 if depth < 6 else 1))
            return [_fitting(chance, kind.item_type, depth + 1) for _ in few]
        case look.DictType():
            few = range(chance.randrange(4 if depth < 6 else 1))
            return {_word(chance): _fitting(chance, kind.value_type, depth + 1) for _ in few}
        case look.StrType():
            return _word(chance)
        case look.IntType():
            return chance.choice((0, 1, 2, -3, 100, chance.randrange(2**33)))
        case look.FloatType():
            return chance.choice((0.0, 1.5, -2.0, 1e9))
        case look.BoolType():
            return chance.random() < 0.5
        case look.NoneType():
            return None
        case _:
            return anything(chance, depth)
