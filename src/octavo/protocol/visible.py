"""Characters that hide what a text says, made visible.

Text from a repository may hold characters that a person looking at it does not see, or sees in
another order, while a model reads them: a way to smuggle orders past a review. After `visible`,
what a model reads is what an editor would show. Line ends become a plain newline. Joiners and
emoji variation selectors stay: scripts and emoji need them.
"""

from __future__ import annotations

import re

_HIDING = (
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters; tab and newline stay
    "\u00ad\u115f\u1160\u180e\u3164\uffa0"  # soft hyphen, fillers
    "\u061c\u200b\u200e\u200f"  # zero-width space, direction marks
    "\u2028-\u202e\u2060-\u206f"  # separators, embeddings, overrides, isolates, operators
    "\ud800-\udfff"  # lone surrogates: bytes of a file name that are not text
    "\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e01ef"  # tags, supplementary variation selectors
    "]"
)


def visible(text: str) -> str:
    """Return `text` with every hiding character written as ⟨U+XXXX⟩."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    # Compiled (and kept by `re`) only here: most texts and start-ups never need it.
    return re.sub(_HIDING, _named, text)


def visible_line(text: str) -> str:
    """Return `text` on one line, unable to open or close a tag: for paths and other names."""
    return visible(text).replace("\n", "⟨U+000A⟩").replace("<", "&lt;").replace(">", "&gt;")


_UNSEEN = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Characters that count as printable and have no ink."""


def visible_command(text: str) -> str:
    """Return a command, or a path, as a person can judge it: nothing in it is without ink.

    Stricter than `visible`: what scripts and emoji need has no business in a command either. Line
    ends and tabs stay, as they are seen.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if _has_ink(c) else f"⟨U+{ord(c):04X}⟩" for c in text)


def visible_name(text: str) -> str:
    """Return a name, or a path, on one line of a terminal, for a person.

    As `visible_line` is for the model; here a `<` is a `<`.
    """
    return visible_command(text).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")


def visible_start(text: str, characters: int) -> str:
    """Return how `text` begins, its words on one line of at most `characters`, for a person."""
    words = visible_name(" ".join(text[: characters * 4].split()))
    return words if len(words) <= characters else words[: characters - 1] + "…"


def _has_ink(char: str) -> bool:
    if char in " \n\t":
        return True
    selects = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return char.isprintable() and char not in _UNSEEN and not selects


def _named(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"
