"""Unified diffs from what is known to have changed, in time that follows the change.

A diff has no file headers, shows three lines of context, and is one that `git apply` takes; a very
long one is cut, which it says in its last line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from octavo.tools.patch.content import Content, Edit

_CONTEXT_LINES = 3
_LIMIT_CHARS = 1 << 20


class Region(NamedTuple):
    """Lines `start` up to `end` of the old file are `size` lines in the new one."""

    start: int
    end: int
    size: int


def compose(size: int, regions: Sequence[Region], edits: Sequence[Edit]) -> list[Region]:
    """Return the regions of a file of `size` lines after `edits` to what `regions` left."""
    if not regions:
        return [Region(edit.start, edit.end, len(edit.new)) for edit in edits]
    origins = list(range(size))
    for region in reversed(regions):
        origins[region.start : region.end] = [-1] * region.size
    for edit in reversed(edits):
        origins[edit.start : edit.end] = [-1] * len(edit.new)
    composed: list[Region] = []
    at = count = 0
    for origin in chain(origins, (size,)):
        if origin < 0:
            count += 1
            continue
        if count or origin != at:
            composed.append(Region(at, origin, count))
        at, count = origin + 1, 0
    return composed


def unified(old: Content, new: Content, regions: Sequence[Region]) -> str:
    """Return the diff between two contents that differ in `regions`, which are in order."""
    changes = list(_trimmed(old, new, _with_last_line(old, new, regions)))
    hunks: list[list[_Change]] = []
    for change in changes:
        if hunks and change.start - hunks[-1][-1].end <= 2 * _CONTEXT_LINES:
            hunks[-1].append(change)
        else:
            hunks.append([change])
    parts: list[str] = []
    left = _LIMIT_CHARS
    for hunk in hunks:
        for line in _hunk(old, new, hunk):
            left -= len(line)
            if left < 0:
                parts.append("\\ The rest of this diff is left out: it is too long.\n")
                break
            parts.append(line)
        if left < 0:
            break
    text = "".join(parts)
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )


class _Change(NamedTuple):
    start: int
    end: int
    new_start: int
    new_end: int


def _with_last_line(old: Content, new: Content, regions: Sequence[Region]) -> list[Region]:
    """Add the last line when all it gets is its ending."""
    size = len(old.lines)
    full = list(regions)
    if old.open_end and not new.open_end and not any(r.start < size <= r.end for r in regions):
        at = next((n for n, region in enumerate(full) if region.start >= size), len(full))
        full.insert(at, Region(size - 1, size, 1))
    return full


def _trimmed(old: Content, new: Content, regions: list[Region]) -> Iterator[_Change]:
    """Yield the changes without the lines that are the same at either end."""
    shift = 0
    for region in regions:
        start, end = region.start, region.end
        new_start = start + shift
        new_end = new_start + region.size
        shift = new_end - end
        while start < end and new_start < new_end and old.full(start) == new.full(new_start):
            start, new_start = start + 1, new_start + 1
        while start < end and new_start < new_end and old.full(end - 1) == new.full(new_end - 1):
            end, new_end = end - 1, new_end - 1
        if start < end or new_start < new_end:
            yield _Change(start, end, new_start, new_end)


def _hunk(old: Content, new: Content, hunk: list[_Change]) -> Iterator[str]:
    first, last = hunk[0], hunk[-1]
    before = min(_CONTEXT_LINES, first.start)
    after = min(_CONTEXT_LINES, len(old.lines) - last.end)
    yield (
        f"@@ -{_span(first.start - before, last.end + after)}"
        f" +{_span(first.new_start - before, last.new_end + after)} @@\n"
    )
    at = first.start - before
    for change in hunk:
        yield from (_line(" ", old.full(n)) for n in range(at, change.start))
        yield from (_line("-", old.full(n)) for n in range(change.start, change.end))
        yield from (_line("+", new.full(n)) for n in range(change.new_start, change.new_end))
        at = change.end
    yield from (_line(" ", old.full(n)) for n in range(at, at + after))


def _span(start: int, end: int) -> str:
    if end - start == 1:
        return str(start + 1)
    return f"{start + (end > start)},{end - start}"


def _line(sign: str, line: str) -> str:
    return sign + (line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
