"""Finds lines in a file, exactly if it can, and by and by more forgivingly.

Four passes: exact, without trailing space, without space around, and with typographic dashes,
quotes and spaces read as ASCII. The first pass that finds anything decides. All of them search
one string, at the speed of `str.find`, and are prepared only when the pass before found nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


class Lines:
    """The lines of one file, to be searched."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self._passes: list[_Pass | None] = [None] * len(_PASSES)

    def find(
        self, wanted: Sequence[str], start: int, *, limit: int, at_end: bool = False
    ) -> tuple[list[int], int]:
        """Return where `wanted` stands from line `start` on, at most `limit`, and the pass."""
        if not wanted or len(wanted) > len(self.lines) - start:
            return [], 0
        tail = len(self.lines) - len(wanted)
        for number, reading in enumerate(_PASSES):
            needle = [reading(line) for line in wanted]
            if at_end:
                if [reading(line) for line in self.lines[tail:]] == needle:
                    return [tail], number
                continue
            found: list[int] = []
            for at in self._prepared(number).find(needle, start):
                found.append(at)
                if len(found) == limit:
                    break
            if found:
                return found, number
        return [], 0

    def _prepared(self, number: int) -> _Pass:
        done = self._passes[number]
        if done is None:
            if number == 0:
                done = _Pass(self.lines)
            elif number < len(_PASSES) - 1:
                done = _Pass(list(map(_PASSES[number], self.lines)))
            else:
                # Folding the whole text at once is what makes this pass affordable.
                stripped = self._prepared(number - 1)
                folded = _fold(stripped.text)
                if folded == stripped.text:
                    done = stripped
                else:
                    done = _Pass(folded[1:-1].split("\n"))
            self._passes[number] = done
        return done


class _Pass:
    """The lines as one pass reads them, joined; each stands between two newlines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.text = "\n" + "\n".join(lines) + "\n"
        self._known = (0, 0)
        """A line and its offset in `text`; both only grow along a patch, so counting is cheap."""

    def find(self, wanted: list[str], start: int) -> Iterator[int]:
        needle = "\n" + "\n".join(wanted) + "\n"
        line, offset = start, self._offset(start)
        while (found := self.text.find(needle, offset)) >= 0:
            line += self.text.count("\n", offset, found)
            yield line
            line, offset = line + 1, self.text.index("\n", found + 1)

    def _offset(self, line: int) -> int:
        """Where the newline before `line` is."""
        known, offset = self._known if self._known[0] <= line else (0, 0)
        between = self.lines[known:line]
        offset += sum(map(len, between)) + len(between)
        self._known = (line, offset)
        return offset
