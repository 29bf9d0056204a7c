"""Decides where in a file each chunk of an update belongs.

Chunks are looked for from the end of the one before. Without an `@@` line there has to be exactly
one such place; with one, the first below it is meant. A chunk that is only further up is taken
from there when nothing else could be meant. No two chunks ever change the same line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from octavo.tools.patch import Chunk, PatchError
from octavo.tools.patch.content import Edit
from octavo.tools.patch.match import INDENTATION_IGNORED, Finder
from octavo.tools.patch.nearest import explain, places_text
from octavo.tools.patch.parse import shown
from octavo.tools.patch.text import Text

_GIT_HEADER = re.compile(r"-(\d+)(?:,\d+)? \+\d+(?:,\d+)?(?: @@(.*))?")
_PLACES = 200
_HINTED_PLACES = 100_000


class _Anchor(NamedTuple):
    """Where to look from. `header` is the line above that, if an `@@` line named it.

    Attributes:
        again: the next line that is like `header`.
        hint: the line where a git header says the chunk starts.
        under: the first line under git's section text; 0 when there is none.
    """

    start: int
    header: int | None = None
    again: int | None = None
    hint: int | None = None
    under: int = 0


class _Doubt(NamedTuple):
    """A chunk that was placed `at` a line and would fit at the `other` as well."""

    lines: Sequence[str]
    at: int
    other: int


class Placer:
    """Places the chunks of one update, one after the other, on the file as it was before them."""

    def __init__(self, text: Text, name: str) -> None:
        self._notes: list[str] = []
        self._doubts: list[_Doubt] = []
        self._text = text
        self._finder = Finder(text)
        self._name = name
        self._edits: list[Edit] = []
        self._edited_to = 0
        self._at = 0

    def edits(self) -> list[Edit]:
        """Return the edits of all chunks in the order of the file."""
        return sorted(self._edits, key=lambda edit: edit[:2])

    def notes(self) -> list[str]:
        """Return what the model should know although all went well."""
        doubts = (
            f"{self._name}: what was placed at line {doubt.at + 1} fits line {doubt.other + 1} as "
            "well, under the same `@@` line. Check that the first was meant."
            for doubt in self._doubts
            if not self._touches(_edits(doubt.lines, doubt.other))
        )
        return [*self._notes, *doubts]

    def place(self, chunk: Chunk, what: str) -> None:
        """Find where `chunk` belongs; `what` names it in errors.

        Raises:
            PatchError: it is nowhere, or in several places.
        """
        if not chunk.old():
            self._insert(chunk, what)
            return
        anchor = self._anchor(chunk.headers, self._at)
        if anchor is not None and self._found(chunk, anchor, what):
            return
        if self._at:
            above = self._anchor(chunk.headers, 0, unique=True)
            if above is not None and self._found(chunk, above, what):
                return
            anchor = anchor or above
        raise self._no_header(chunk, what) if anchor is None else self._not_found(chunk, what)

    def _insert(self, chunk: Chunk, what: str) -> None:
        if chunk.at_end or not chunk.headers:
            size = self._text.size
            self._take([Edit(size, size, chunk.new())])
            return
        anchor = self._anchor(chunk.headers, self._at) or self._anchor(
            chunk.headers, 0, unique=True
        )
        if anchor is None:
            raise self._no_header(chunk, what)
        if anchor.header is None:
            raise PatchError(
                f"{what} only adds lines, but its `@@` line does not say clearly under which "
                "line. Write the whole line they go under after `@@`, or add lines to keep."
            )
        edit = Edit(anchor.start, anchor.start, chunk.new())
        if self._overlaps([edit]):
            raise PatchError(f"{what} adds lines inside lines that an earlier chunk removes.")
        self._at = anchor.start
        if anchor.again is not None:
            self._doubts.append(_Doubt(chunk.lines, anchor.start, anchor.again + 1))
        self._take([edit])

    def _anchor(
        self, headers: Sequence[str], start: int, *, unique: bool = False
    ) -> _Anchor | None:
        """Follow the headers down from `start`; None if one is not there.

        When it has to be `unique` and the last header is not, every place below the first counts.
        """
        anchor = _Anchor(start)
        for header in headers:
            if found := self._headers(header, anchor.start):
                again = found[1] if len(found) > 1 else None
                anchor = anchor._replace(start=found[0] + 1, header=found[0], again=again)
                if unique and len(found) > 1:
                    anchor = anchor._replace(header=None)
            elif git := _GIT_HEADER.fullmatch(header):
                text = (git[2] or "").strip()
                section = self._headers(text, start) if text else []
                under = section[0] + 1 if section else 0
                anchor = anchor._replace(hint=max(int(git[1]) - 1, 0), under=under)
            else:
                return None
        return anchor

    def _headers(self, header: str, start: int) -> list[int]:
        found, _ = self._finder.find([header], start, limit=2)
        if not found and header.rstrip().endswith("@@"):
            found, _ = self._finder.find([header.rstrip()[:-2].rstrip()], start, limit=2)
        return found

    def _found(self, chunk: Chunk, anchor: _Anchor, what: str) -> bool:
        for lines in _variants(chunk.lines):
            old = [line[1:] for line in lines if line[0] != "+"]
            limit = _PLACES if anchor.hint is None else _HINTED_PLACES
            places, reading = self._finder.find(old, anchor.start, limit=limit, at_end=chunk.at_end)
            fitting = places = [at for at in places if self._is_free(lines, at)]
            if anchor.header is not None and not chunk.at_end:
                places = self._under(anchor.header, lines, old, places)
            if len(places) > 1:
                places = _hinted(places, anchor)
            if len(places) > 1:
                raise PatchError(
                    f"{what} fits in several places: {places_text(self._text.lines, places)}. "
                    "Add an `@@` line with a whole line that stands above the right one only, "
                    "or more lines around the change."
                )
            if places:
                self._note(lines, places[0], reading)
                self._doubt(lines, places[0], anchor, fitting)
                self._at = places[0] + len(old)
                self._take(_edits(lines, places[0]))
                return True
        return False

    def _under(
        self, header: int, lines: Sequence[str], old: list[str], places: list[int]
    ) -> list[int]:
        """Return the place the header means: the first below it, or at it if it is repeated."""
        if [old[0].strip()] == [line.strip() for line in self._text.slice(header, header + 1)]:
            at, _ = self._finder.find(old, header, limit=1)
            if at == [header] and (lines[0][0] == " " or not places):
                return at if self._is_free(lines, header) else []
        return places[:1]

    def _is_free(self, lines: Sequence[str], at: int) -> bool:
        """True if no line that a chunk would change at `at` is changed already."""
        return at >= self._edited_to or not self._overlaps(_edits(lines, at))

    def _overlaps(self, edits: list[Edit]) -> bool:
        return any(
            edit.start < other.end and other.start < edit.end
            for edit in edits
            for other in self._edits
        )

    def _touches(self, edits: list[Edit]) -> bool:
        return any(
            edit.start <= other.end and other.start <= edit.end
            for edit in edits
            for other in self._edits
        )

    def _doubt(
        self, lines: Sequence[str], at: int, anchor: _Anchor, fitting: Sequence[int]
    ) -> None:
        """Remember if a line like the header has a fitting place below it, too."""
        if anchor.header is None or anchor.again is None or at >= anchor.again:
            return
        other = next((place for place in fitting if place >= anchor.again), None)
        if other is not None:
            self._doubts.append(_Doubt(lines, at, other))

    def _take(self, edits: list[Edit]) -> None:
        self._edits.extend(edits)
        self._edited_to = max([self._edited_to, *(edit.end for edit in edits)])

    def _note(self, lines: Sequence[str], at: int, reading: int) -> None:
        if reading < INDENTATION_IGNORED or not any(line[0] == "+" for line in lines):
            return
        old = [line[1:] for line in lines if line[0] != "+"]
        for line, there in zip(old, self._text.slice(at, at + len(old)), strict=True):
            if _indentation(line) != _indentation(there):
                self._notes.append(
                    f"{self._name}: the lines at {at + 1} are indented otherwise than in the "
                    "patch; added lines were written as given, so check their indentation."
                )
                return

    def _no_header(self, chunk: Chunk, what: str) -> PatchError:
        missing = next((h for h in chunk.headers if not self._headers(h, 0)), chunk.headers[-1])
        order = ""
        if self._headers(missing, 0):
            order = " where the chunks and `@@` lines before it lead"
        return PatchError(
            f"{what}: no line of the file{order} is {shown(missing)}, as its `@@` line says. "
            "It must be a whole line of the file, above the change.\n"
            + explain(self._text.lines, [missing], self._like(missing))
        )

    def _like(self, header: str) -> int | None:
        """Return the first line that `header` is the beginning of, or else a part of."""
        part = header.strip()
        lines = self._text.lines
        begun = (at for at, line in enumerate(lines) if line.lstrip().startswith(part))
        holding = (at for at, line in enumerate(lines) if part in line)
        return next(begun, next(holding, None)) if part else None

    def _not_found(self, chunk: Chunk, what: str) -> PatchError:
        lines, old = self._text.lines, chunk.old()
        if chunk.at_end:
            reason = "its lines are not the last ones of the file, as `*** End of File` says."
            start = max(len(lines) - len(old), 0)
            return PatchError(f"{what}: {reason} " + explain(lines, old, start))
        places, _ = self._finder.find(old, 0, limit=_PLACES)
        if places:
            return PatchError(
                f"{what}: its lines are only at {places_text(lines, places)}, which is above its "
                "`@@` line or the chunk before, or changed by another chunk. Write the chunks "
                "in the order of the file, and each line in one chunk only."
            )
        text = f"{what}: its lines are not in the file. " + explain(lines, old)
        if any(line[0] == "+" and line[1:].strip() for line in chunk.lines):
            done, _ = self._finder.find(chunk.new(), 0, limit=1)
            if done:
                text += f"\nThe new lines are already at line {done[0] + 1}: is this chunk done?"
        return PatchError(text)


def _variants(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the lines as they are, then without the empty lines that close them."""
    yield lines
    shorter = list(lines)
    while True:
        last = next((n for n in reversed(range(len(shorter))) if shorter[n][0] != "+"), None)
        if last is None or shorter[last][1:]:
            return
        if shorter.pop(last)[0] == "-" and shorter and shorter[-1] == "+":
            shorter.pop()
        if all(line[0] == "+" for line in shorter):
            return
        yield shorter


def _edits(lines: Sequence[str], at: int) -> list[Edit]:
    """Return what a chunk's lines do to a file in which they stand at line `at`."""
    edits: list[Edit] = []
    start, new = at, list[str]()
    for line, following in zip_longest(lines, lines[1:], fillvalue=" "):
        if line[0] == " ":
            at += 1
            start = at
            continue
        if line[0] == "-":
            at += 1
        else:
            new.append(line[1:])
        if following[0] == " ":
            edits.append(Edit(start, at, new))
            start, new = at, []
    return edits


def _hinted(places: list[int], anchor: _Anchor) -> list[int]:
    """Return the one place that git's header speaks for, or all if it is silent."""
    if anchor.hint is None:
        return places
    hint = anchor.hint
    places = [at for at in places if at >= anchor.under] or places
    nearest = min(abs(at - hint) for at in places)
    return [at for at in places if abs(at - hint) == nearest]


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
