"""Model items as bytes. The same words always give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Role = Literal["developer", "user"]
Part = Mapping[str, str]


def text_part(text: str) -> Part:
    """Return a content part that holds `text`."""
    return {"type": "input_text", "text": text}


def message(role: Role, parts: Sequence[Part]) -> bytes:
    """Return a message to the model."""
    return encode({"type": "message", "role": role, "content": parts})


def encode(item: Mapping[str, object]) -> bytes:
    """Return `item` as JSON; what is not Unicode text (a lone surrogate) becomes U+FFFD.

    Lone surrogates come from file names that are not UTF-8, and would be refused everywhere.
    """
    try:
        return msgspec.json.encode(item)
    except UnicodeEncodeError:
        return msgspec.json.encode(_mended(item))


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_mended(key): _mended(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_mended(part) for part in value]
    return value
