"""What a model item says, as plain text: for searching the history and for telling of it.

Whatever does not look as expected still has a text, its JSON: nothing of a history is unfindable.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["user", "octavo", "assistant", "reasoning", "call", "output", "other"]
"""Who says it: "octavo" is what octavo itself adds, whatever role it has for the model."""

CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")


class Readable(msgspec.Struct, frozen=True):
    """An item. A call has a `name`; a call and its output have the same `call_id`."""

    kind: Kind
    text: str
    call_id: str = ""
    name: str = ""


class Head(msgspec.Struct):
    """What tells an item's place among the others."""

    type: str = ""
    role: str = ""
    call_id: str = ""


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Item(msgspec.Struct):
    type: str = ""
    role: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    input: str = ""
    content: str | list[_Part] | None = None
    summary: list[_Part] | None = None
    output: str | list[_Part] | None = None


_item = msgspec.json.Decoder(_Item).decode
_head = msgspec.json.Decoder(Head).decode


def head(raw: bytes) -> Head:
    """Return what tells the item's place; all of it "" when it does not look like an item."""
    try:
        return _head(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Head()


def readable(raw: bytes) -> Readable:
    """Return what `raw` says."""
    try:
        item = _item(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Readable("other", raw.decode("utf-8", "replace"))
    if item.type in CALLS:
        return Readable("call", item.arguments or item.input, item.call_id, item.name)
    if item.type in OUTPUTS:
        return Readable("output", _text(item.output), item.call_id)
    if item.type == "reasoning":
        return Readable("reasoning", _text(item.summary) + _text(item.content))
    if item.type == "message":
        kinds: dict[str, Kind] = {"user": "user", "assistant": "assistant"}
        return Readable(kinds.get(item.role, "octavo"), _text(item.content))
    return Readable("other", raw.decode("utf-8", "replace"))


def _text(parts: str | list[_Part] | None) -> str:
    if isinstance(parts, str):
        return parts
    texts = (part.text or (f"[{part.type}]" if part.type else "") for part in parts or ())
    return "\n".join(texts)
