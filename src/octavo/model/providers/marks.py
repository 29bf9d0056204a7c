"""Marks: what octavo writes into a model item for itself, under the key `octavo`.

Reasoning can be read by the provider that made it and by no other: OpenAI's is encrypted,
Anthropic's is signed. So a reasoning item says where it came from, and carries there what has to
go back with it. A mark is the last key of its item, is part of the log, and is never sent to
anybody: `sendable` takes it off.
"""

from __future__ import annotations

from typing import Any

import msgspec

_KEY = b'"octavo":'
_encode = msgspec.json.encode


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of where an item came from."""

    provider: str = ""
    """The id of the provider; empty in items of a thread older than marks."""
    field: str | None = None
    """Chat Completions: the field that the reasoning came in, and goes back in."""
    signature: str | None = None
    """Messages API: the signature of a thinking block."""
    redacted: str | None = None
    """Messages API: the data of a redacted thinking block, which has no text."""
    extra_content: dict[str, Any] | None = None
    """Chat Completions: what a provider wants back with a call, such as a thought signature."""


class _Marked(msgspec.Struct):
    type: str = ""
    octavo: Mark | None = None


_marked = msgspec.json.Decoder(_Marked).decode


def marked(raw: bytes, mark: Mark) -> bytes:
    """Return the item `raw`, an encoded object, with `mark` as its last key."""
    body = raw.rstrip()[:-1].rstrip()
    comma = b"" if body.endswith(b"{") else b","
    return b"%b%b%b%b}" % (body, comma, _KEY, _encode(mark))


def sendable(raw: bytes, provider_id: str) -> bytes | None:
    """Return `raw` as it goes to the Responses API of `provider_id`; None if it does not go there.

    An item without a mark goes as it is. Reasoning goes only to where it came from.
    """
    if _KEY not in raw:
        return raw
    try:
        item = _marked(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _without_key(raw)
    if item.octavo is None:
        return _without_key(raw)
    if item.type == "reasoning" and item.octavo != Mark(provider=provider_id):
        return None  # of somebody else, or of another API of the same provider
    last = b",%b%b}" % (_KEY, _encode(item.octavo))
    if raw.endswith(last) and raw.count(_KEY) == 1:
        return raw[: -len(last)] + b"}"
    return _without_key(raw)


def _without_key(raw: bytes) -> bytes | None:
    """Return `raw` without a key `octavo`, whoever wrote it; None if it is no object."""
    try:
        item = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw
    if not isinstance(item, dict):
        return None
    if "octavo" not in item:
        return raw  # the word stands in some text
    del item["octavo"]
    return _encode(item)
