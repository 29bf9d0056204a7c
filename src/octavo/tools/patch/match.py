"""Finds lines in a file, exactly if it can, and by and by more forgivingly.

Four passes: exact, without trailing space, without space around, and with typographic dashes,
quotes and spaces read as ASCII. The first pass that finds anything decides. All of them search
one string, at the speed of `str.find`, and are prepared only when the pass before found nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from octavo.tools.patch.text import Text

_FOLDED = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "'": "\u2018\u2019\u201a\u201b",
    '"': "\u201c\u201d\u201e\u201f",
    " ": "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
}


def _fold(text: str) -> str:
    if text.isascii():
        return text
    for plain, fancy in _FOLDED.items():
        for char in fancy:
            text = text.replace(char, plain)
    return text


_PASSES: tuple[Callable[[str], str], ...] = (
    str,
    str.rstrip,
    str.strip,
    lambda line: _fold(line.strip()),
)
INDENTATION_IGNORED = 2
"""From this pass on the found lines may be indented otherwise."""


class Finder:
    """Searches the lines of one file."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self._texts = [text]
        """One a pass, as far as they were needed."""

    def find(
        self, wanted: Sequence[str], start: int, *, limit: int, at_end: bool = False
    ) -> tuple[list[int], int]:
        """Return where `wanted` stands from line `start` on, at most `limit`, and the pass."""
        for number, reading in enumerate(_PASSES):
            needle = [reading(line) for line in wanted]
            if at_end:
                tail = self.text.size - len(wanted)
                if tail < start:
                    break
                there = self.text.slice(tail, tail + len(wanted))
                found = [tail] if [reading(line) for line in there] == needle else []
            else:
                found = list(islice(self._text(number).find(needle, start), limit))
            if found:
                return found, number
        return [], 0

    def _text(self, number: int) -> Text:
        while len(self._texts) <= number:
            before = self._texts[-1]
            if len(self._texts) < len(_PASSES) - 1:
                reading = _PASSES[len(self._texts)]
                self._texts.append(Text("\n" + "".join([reading(x) + "\n" for x in before.lines])))
            else:
                # Folding all at once is what makes this pass affordable.
                folded = _fold(before.joined)
                self._texts.append(before if folded == before.joined else Text(folded))
        return self._texts[number]
