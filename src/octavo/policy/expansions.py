"""The smaller forms inside a shell's word: dollars, `$'…'`, backticks, braces."""

from __future__ import annotations

import re

DOLLAR = re.compile(
    r"""\$(?:
        (?P<name>[A-Za-z_]\w*|[0-9@*\#?$!-])
      | \{\#?(?:[A-Za-z_]\w*|[0-9]+|[@*\#?$!-])
          (?: (?P<calculated>\[(?:[@*]|\w+)\] | :[ ]?-?\w+(?::-?\w+)? )?
          | (?: (?P<sets>:?=) | :?[-+?] | \#\#? | %%? | \^\^? | ,,? | //? )
            (?:[^'"`\\${}<>()&|;\n] | \$[A-Za-z_]\w*)*
          )
        \}
    )""",
    re.VERBOSE | re.ASCII,
)
"""A parameter that runs nothing, however its value reads."""

_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
}
_NUMERIC = re.compile(r"([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})")


def ansi_c(text: str, at: int) -> tuple[str | None, int]:
    """Decode `$'…'` from behind its quote; None when shells differ on what it means."""
    out: list[str] = []
    while at < len(text) and text[at] != "'":
        if text[at] != "\\":
            out.append(text[at])
            at += 1
            continue
        following = text[at + 1 : at + 2]
        if following in _ESCAPES:
            out.append(_ESCAPES[following])
            at += 2
            continue
        number = _NUMERIC.match(text, at + 1)
        if number is None:
            return None, at
        code = int(number[1], 8) if number[1] else int(number[2] or number[3] or number[4], 16)
        # Zero ends the string, and what is not ASCII depends on the locale.
        if not 0 < code < 128:
            return None, at
        out.append(chr(code))
        at = number.end()
    if at >= len(text):
        return None, at
    return "".join(out), at + 1


def backticked(text: str, at: int, *, quoted: bool) -> tuple[str | None, int]:
    """Return the script between backticks from behind the first, and where it ends."""
    out: list[str] = []
    escaped = '$`\\"' if quoted else "$`\\"
    while at < len(text):
        char = text[at]
        if char == "`":
            return "".join(out), at + 1
        if char == "\\" and text[at + 1 : at + 2] in tuple(escaped):
            out.append(text[at + 1])
            at += 2
            continue
        out.append(char)
        at += 1
    return None, at


def braces_expand(raw: str) -> bool:
    """Return whether a word as written may become several by its braces."""
    opening = raw.find("{")
    if opening < 0 or "}" not in raw[opening:]:
        return False
    return "," in raw[opening:] or ".." in raw[opening:]
