"""The content of a file as lines, such that everything not edited comes back byte for byte.

A byte order mark, each line's own ending and bytes that are not UTF-8 survive. Only a missing last
line ending does not: what has been edited ends with one.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple


def is_utf16(data: bytes) -> bool:
    """True for bytes in which lines written as UTF-8 would be out of place."""
    return data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


class Edit(NamedTuple):
    """Lines `start` up to `end` become `new`."""

    start: int
    end: int
    new: list[str]


class Content:
    """Lines without their endings; not changed once made.

    Attributes:
        open_end: the last line has no ending.
    """

    __slots__ = ("_ending", "_endings", "bom", "lines", "open_end")

    def __init__(
        self,
        lines: list[str],
        *,
        ending: str = "\n",
        endings: list[str] | None = None,
        bom: bool = False,
        open_end: bool = False,
    ) -> None:
        self.lines = lines
        self.bom = bom
        self.open_end = open_end
        self._ending = ending
        self._endings = endings
        """One a line when they differ."""

    @classmethod
    def decode(cls, data: bytes) -> Content:
        """Read any bytes; see `is_utf16` for the ones that should not be edited."""
        bom = data.startswith(codecs.BOM_UTF8)
        text = data.decode("utf-8", "surrogateescape")
        if bom:
            text = text[1:]
        newlines = text.count("\n")
        crlfs = text.count("\r\n") if newlines else 0
        ending = "\r\n" if crlfs * 2 > newlines else "\n"
        mixed = 0 < crlfs < newlines
        lines = text.split("\n" if mixed else ending)
        open_end = lines[-1] != ""
        if not open_end:
            lines.pop()
        if not mixed:
            return cls(lines, ending=ending, bom=bom, open_end=open_end)
        endings = ["\r\n" if line.endswith("\r") else "\n" for line in lines]
        lines = [line.removesuffix("\r") for line in lines]
        if open_end:
            endings[-1] = ending
            lines[-1] = text[text.rindex("\n") + 1 :]
        return cls(lines, ending=ending, endings=endings, bom=bom, open_end=open_end)

    def encode(self) -> bytes:
        """Return the bytes; not empty, they end with a line ending."""
        if self._endings is not None:
            text = "".join(map(str.__add__, self.lines, self._endings))
        elif self.lines:
            text = self._ending.join(self.lines) + self._ending
        else:
            text = ""
        data = text.encode("utf-8", "surrogateescape")
        return codecs.BOM_UTF8 + data if self.bom else data

    def full(self, at: int) -> str:
        """Return a line with its ending, if it has one."""
        if self.open_end and at == len(self.lines) - 1:
            return self.lines[at]
        return self.lines[at] + (self._endings[at] if self._endings else self._ending)

    def replace(self, edits: Sequence[Edit]) -> Content:
        """Return the content after `edits`, which are in order and do not overlap.

        A new line ends like the line it replaces, or the one above it.
        """
        lines = self.lines.copy()
        endings = self._endings.copy() if self._endings is not None else None
        for edit in reversed(edits):
            lines[edit.start : edit.end] = edit.new
            if endings is not None and self._endings is not None:
                near = self._endings[edit.start : edit.end]
                above = max(edit.start - 1, 0)
                near = near or self._endings[above : above + 1] or [self._ending]
                near.extend(near[-1:] * (len(edit.new) - len(near)))
                endings[edit.start : edit.end] = near[: len(edit.new)]
        return Content(lines, ending=self._ending, endings=endings, bom=self.bom)
