"""Lines in one string, found and counted without ever being cut apart.

Cutting a file of 100,000 lines takes longer than everything else a patch does, so lines become
offsets only where they are needed. A line's offset is that of the newline before it; the string
starts with one, and every line ends with one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate

_WALK_LINES = 500
"""Further than this from any known line it is cheaper to index all."""


class Text:
    """Immutable lines. `known` are lines whose offsets are known, both ascending from 0."""

    def __init__(self, joined: str, known: Sequence[tuple[int, int]] = ()) -> None:
        self.joined = joined
        self._lines_known = [0, *(line for line, _ in known if line)]
        self._offsets_known = [0, *(offset for line, offset in known if line)]

    @cached_property
    def lines(self) -> list[str]:
        """All lines; costly in a long file."""
        return self.joined[1:-1].split("\n") if len(self.joined) > 1 else []

    @cached_property
    def size(self) -> int:
        """How many lines there are."""
        size = self.line(len(self.joined) - 1)
        self._know(size, len(self.joined) - 1)
        return size

    def slice(self, start: int, end: int) -> list[str]:
        """Return lines `start` up to `end`, or to the last one."""
        first, last = self.offset(start), self.offset(end)
        return self.joined[first + 1 : last].split("\n") if first < last else []

    def find(self, wanted: Sequence[str], start: int) -> Iterator[int]:
        """Yield where `wanted`, which is not empty, stands from line `start` on."""
        needle = "\n" + "\n".join(wanted) + "\n"
        offset = self.offset(start)
        while (found := self.joined.find(needle, offset)) >= 0:
            line = self.line(found)
            self._know(line, found)
            yield line
            offset = found + 1

    def offset(self, line: int) -> int:
        """Return where the newline before `line` is; past the last line, the one at the end."""
        at = bisect_right(self._lines_known, line) - 1
        known, offset = self._lines_known[at], self._offsets_known[at]
        if line - known > _WALK_LINES:
            return self._index[min(line, len(self._index) - 1)]
        for _ in range(line - known):
            if (following := self.joined.find("\n", offset + 1)) < 0:
                break
            offset = following
        return offset

    def line(self, offset: int) -> int:
        """Return the line before which the newline at `offset` is."""
        at = bisect_right(self._offsets_known, offset) - 1
        known = self._offsets_known[at]
        return self._lines_known[at] + self.joined.count("\n", known, offset)

    def _know(self, line: int, offset: int) -> None:
        at = bisect_right(self._lines_known, line)
        if self._lines_known[at - 1] != line:
            self._lines_known.insert(at, line)
            self._offsets_known.insert(at, offset)

    @cached_property
    def _index(self) -> list[int]:
        return [0, *accumulate(len(line) + 1 for line in self.lines)]
