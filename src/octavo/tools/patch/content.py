"""The content of a file as lines, such that everything not edited comes back byte for byte.

A byte order mark, each line's own ending and bytes that are not UTF-8 survive. Only a missing last
line ending does not: what has been edited ends with one.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import NamedTuple

from octavo.tools.patch.text import Text


def is_utf16(data: bytes) -> bool:
    """True for bytes in which lines written as UTF-8 would be out of place."""
    return data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


class Edit(NamedTuple):
    """Lines `start` up to `end` become `new`."""

    start: int
    end: int
    new: list[str]


class Content:
    """Lines and how they end; not changed once made.

    Attributes:
        open_end: the last line has no ending.
    """

    __slots__ = ("_ending", "_endings", "bom", "open_end", "text")

    def __init__(
        self,
        text: Text,
        *,
        ending: str = "\n",
        endings: list[str] | None = None,
        bom: bool = False,
        open_end: bool = False,
    ) -> None:
        self.text = text
        self.bom = bom
        self.open_end = open_end
        self._ending = ending
        self._endings = endings
        """One a line when they differ."""

    @classmethod
    def of(cls, lines: Sequence[str]) -> Content:
        """Return a new file."""
        return cls(Text("\n" + "".join([line + "\n" for line in lines])))

    @classmethod
    def decode(cls, data: bytes) -> Content:
        """Read any bytes; see `is_utf16` for the ones that should not be edited."""
        bom = data.startswith(codecs.BOM_UTF8)
        text = data.decode("utf-8", "surrogateescape")
        if bom:
            text = text[1:]
        open_end = text != "" and not text.endswith("\n")
        ending, endings = "\n", None
        if "\r" in text and (crlfs := text.count("\r\n")):
            newlines = text.count("\n")
            ending = "\r\n" if crlfs * 2 > newlines else "\n"
            if crlfs < newlines:
                ends = [line.endswith("\r") for line in text.split("\n")[:-1]]
                endings = ["\r\n" if crlf else "\n" for crlf in ends]
                if open_end:
                    endings.append(ending)
            text = text.replace("\r\n", "\n")
        joined = f"\n{text}\n" if open_end else "\n" + text
        return cls(Text(joined), ending=ending, endings=endings, bom=bom, open_end=open_end)

    def encode(self) -> bytes:
        """Return the bytes; not empty, they end with a line ending."""
        text = self.text.joined[1:]
        if self._endings is not None:
            text = "".join(map(str.__add__, self.text.lines, self._endings))
        elif self._ending != "\n":
            text = text.replace("\n", self._ending)
        data = text.encode("utf-8", "surrogateescape")
        return codecs.BOM_UTF8 + data if self.bom else data

    def slice(self, start: int, end: int) -> list[str]:
        """Return lines with their endings; the last has none if it is open."""
        lines = self.text.slice(start, end)
        if self._endings is not None:
            full = list(map(str.__add__, lines, self._endings[start:end]))
        else:
            full = [line + self._ending for line in lines]
        if self.open_end and full and end >= self.text.size:
            full[-1] = lines[-1]
        return full

    def replace(self, edits: Sequence[Edit]) -> Content:
        """Return the content after `edits`, which are in order and do not overlap.

        A new line ends like the line it replaces, or the one above it.
        """
        old, parts, length, at, shift = self.text, list[str](), 0, 0, 0
        known: list[tuple[int, int]] = []
        for edit in edits:
            kept = old.joined[at : old.offset(edit.start) + 1]
            new = "".join([line + "\n" for line in edit.new])
            known.append((edit.start + shift, length + len(kept) - 1))
            parts += kept, new
            length += len(kept) + len(new)
            at = old.offset(edit.end) + 1
            shift += len(edit.new) - (edit.end - edit.start)
            known.append((edit.end + shift, length - 1))
        text = Text("".join([*parts, old.joined[at:]]), sorted(set(known)))
        endings = None if self._endings is None else self._endings.copy()
        if endings is not None and self._endings is not None:
            for edit in reversed(edits):
                above = max(edit.start - 1, 0)
                near = self._endings[edit.start : edit.end]
                near = near or self._endings[above : above + 1] or [self._ending]
                near.extend(near[-1:] * (len(edit.new) - len(near)))
                endings[edit.start : edit.end] = near[: len(edit.new)]
        return Content(text, ending=self._ending, endings=endings, bom=self.bom)
