"""What a person pinned, as the model is told it."""

from __future__ import annotations

from collections.abc import Mapping

from octavo.context.visible import visible

PIN_LIMIT_CHARS = 16_000
PINS_LIMIT = 100


def pins_text(pins: Mapping[str, str]) -> str:
    """Return the pinned texts, oldest first, word for word; "" when there are none."""
    if not pins:
        return ""
    shown = "\n\n".join(f"<pin>\n{_unframed(visible(text))}\n</pin>" for text in pins.values())
    return f"The user pinned this. Keep to it until it is unpinned.\n\n{shown}"


def _unframed(text: str) -> str:
    """Return `text` unable to end the frame it is put in."""
    return text.replace("</pin>", "&lt;/pin&gt;")
