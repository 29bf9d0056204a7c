"""What was said last in a thread."""

from __future__ import annotations

import msgspec

from octavo.protocol.fold import Spoken, Thread

_LOOK_BACK = 200
"""How many entries of the history are looked at."""


class _Part(msgspec.Struct, frozen=True):
    text: str = ""


class _Message(msgspec.Struct, frozen=True):
    type: str = ""
    role: str = ""
    content: list[_Part] | str | None = None


def last_message(thread: Thread) -> str | None:
    """Return the model's last message; None where none is near the end."""
    for entry in reversed(thread.history[-_LOOK_BACK:]):
        if not isinstance(entry, Spoken) or b'"assistant"' not in entry.raw:
            continue
        try:
            said = msgspec.json.decode(entry.raw, type=_Message)
        except msgspec.MsgspecError:
            continue
        if said.type == "message" and said.role == "assistant":
            return _text(said)
    return None


def user_texts(said: list[bytes]) -> list[str]:
    """Return the texts of what the user said."""
    return [_text(msgspec.json.decode(raw, type=_Message)) for raw in said]


def _text(said: _Message) -> str:
    content = said.content
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or ())
