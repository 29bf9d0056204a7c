"""Asking a model for a summary of the thread, and telling whether what came is one.

A summary replaces what it sums up, so a bad one is worse than none: whatever is empty, too short,
too long, repetitive or of another form is refused, with a reason. Pure.
"""

from __future__ import annotations

from pathlib import Path

from octavo.context.base import own_text
from octavo.context.encode import message, text_part

HEADINGS = ("## Goal", "## Rules and wishes", "## State", "## Facts", "## Next")
"""What octavo's own prompt asks for."""
HEADINGS_NEEDED = 3
LEAST_CHARS = 40
"""A summary of anything is longer."""
MOST_TOKENS = 20_000
PROMPT_LIMIT_BYTES = 1 << 18
_REPEATED_FROM_CHARS = 2_000
_REPEATED_RATIO = 0.04
"""Text of people compresses to a third; at a twenty-fifth a model says one thing over and over."""


def compact_prompt(text: str | None, file: Path | None) -> str | None:
    """Return the person's own prompt, from `compact_prompt` or a file; None if there is none.

    Raises:
        ConfigError: the file cannot be read, is empty, too large or not text.
    """
    if text is not None and text.strip():
        return text
    if file is None:
        return None
    hint = "Give a readable text file, or remove the setting to use octavo's prompt."
    return own_text("experimental_compact_prompt_file", file, PROMPT_LIMIT_BYTES, hint)


def ask_for_summary(own: str | None) -> bytes:
    """Return the model item that asks for a summary of what precedes it."""
    if own is None:
        own = (Path(__file__).parent / "prompts" / "compact.md").read_text(encoding="utf-8")
    return message("user", [text_part(own)])


def fault_of_summary(text: str, replaced_tokens: int, *, own_prompt: bool) -> str | None:
    """Return what is wrong with `text` as a summary; None when it will do.

    Args:
        replaced_tokens: about how much it is to stand for.
        own_prompt: a person's prompt asked for it, so its form is not known.
    """
    text = text.strip()
    tokens = -(-len(text.encode("utf-8", "replace")) // 4)
    if not text:
        return "it was empty"
    if tokens >= replaced_tokens:
        return "it was longer than what it was to replace"
    if tokens > MOST_TOKENS:
        return f"it was too long (about {tokens:,} tokens)"
    if len(text) < LEAST_CHARS:
        return "it was too short to be one"
    if sum(c.isprintable() or c.isspace() for c in text) < 0.9 * len(text):
        return "it was not readable text"
    if len(text) > _REPEATED_FROM_CHARS:
        import zlib

        data = text.encode("utf-8", "replace")
        if len(zlib.compress(data)) < _REPEATED_RATIO * len(data):
            return "it said the same thing over and over"
    lower = text.lower()
    found = sum(heading.lower() in lower for heading in HEADINGS)
    if not own_prompt and found < HEADINGS_NEEDED:
        return "it was not in the form that was asked for"
    return None
