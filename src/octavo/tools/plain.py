"""Bytes of a terminal → text worth reading.

Output is decoded, rid of escape sequences and control characters, and lines that a program
repainted in place (progress bars) keep only what stayed. Nothing here bounds or redacts. Every
step is linear in its input, whatever is fed, and pieces may be cut anywhere.
"""

from __future__ import annotations

import codecs
import re

_HELD_LIMIT_CHARS = 4096
"""The longest unfinished sequence waited for; a longer one was no sequence."""

_BODY = rf"\x1b[\]PX^_][^\x07\x1b\n]{{0,{_HELD_LIMIT_CHARS}}}"
# Left as text: `re` compiles and keeps them when output first needs them, not at every start.
_ESCAPE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    rf"|{_BODY}(?:\x07|\x1b\\)"  # OSC, DCS and their like, with a text of their own
    r"|\x1b[ -/]*[0-~]?"  # two-character sequences; or a stray introducer
    r"|\x9b"
)
_UNFINISHED = rf"(?:(?:\x1b\[|\x9b)[0-?]*[ -/]*|{_BODY}\x1b?|\x1b[ -/]*)\Z"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+"
_OVERSTRUCK = r"[^\n\x08]\x08"
_LETTERS = r"[^\W\d_]+"
_SAME_WORDS_CHARS = 12


class Plain:
    """Makes plain text of a stream, piece by piece; what is cut in two waits for its other half.

    The texts of all pieces joined are the same wherever the stream was cut, but for what a
    program repainted (carriage returns, backspaces), which is only undone within a piece.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """Return the text of `data`, less what only the next piece can tell; all if `final`."""
        text = self._held + self._decoder.decode(data, final)
        self._held = ""
        if not final:
            text, self._held = _split_unfinished(text)
        else:
            self._decoder.reset()
        return _collapse(_strip(text))


def plain(data: bytes) -> str:
    """Return the text of a whole output."""
    return Plain().feed(data, final=True)


def _split_unfinished(text: str) -> tuple[str, str]:
    if text.endswith("\r"):
        return text[:-1], "\r"
    if "\x1b" not in text and "\x9b" not in text:
        return text, ""
    start = max(0, len(text) - _HELD_LIMIT_CHARS)
    found = re.compile(_UNFINISHED).search(text, start)
    if found is None:
        return text, ""
    return text[: found.start()], text[found.start() :]


def _strip(text: str) -> str:
    if "\x1b" in text or "\x9b" in text:
        text = re.sub(_ESCAPE, "", text)
    if "\x08" in text:
        text = re.sub(_OVERSTRUCK, "", text)
    return re.sub(_CONTROL, "", text)


def _collapse(text: str) -> str:
    """Turn `\\r\\n` into a line end, and each repainted line into its last states.

    States that begin with the same words are one line seen changing; those that differ were
    different lines, and each is kept.
    """
    if "\r" not in text:
        return text
    text = text.replace("\r\n", "\n")
    if "\r" not in text:
        return text
    return "\n".join(_last_states(line) if "\r" in line else line for line in text.split("\n"))


def _last_states(line: str) -> str:
    kept: list[str] = []
    words_before = ""
    for state in line.split("\r"):
        if not state.strip():
            continue
        words = "".join(re.findall(_LETTERS, state[:80]))[:_SAME_WORDS_CHARS]
        if kept and (words.startswith(words_before) or words_before.startswith(words)):
            kept[-1] = state
        else:
            kept.append(state)
        words_before = words
    return "\n".join(kept)
