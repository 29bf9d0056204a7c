"""Unified diffs from what is known to have changed, in time that follows the change.

A diff has no file headers, shows three lines of context, and is one that `git apply` takes; a very
long one is cut, which it says in its last line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from octavo.tools.patch.content import Content, Edit
from octavo.tools.patch.text import Text

_CONTEXT_LINES = 3
_LIMIT_CHARS = 1 << 20


class Region(NamedTuple):
    """Lines `start` up to `end` of the old file are `size` lines in the new one."""

    start: int
    end: int
    size: int


def compose(old: Text, regions: Sequence[Region], edits: Sequence[Edit]) -> list[Region]:
    """Return the regions in which `old` differs after `edits` to what `regions` left of it."""
    if not regions:
        return [Region(edit.start, edit.end, len(edit.new)) for edit in edits]
    size = old.size
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
        for line in _hunk(old, hunk):
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
    gone: list[str]
    new_start: int
    come: list[str]

    @property
    def end(self) -> int:
        return self.start + len(self.gone)


def _with_last_line(old: Content, new: Content, regions: Sequence[Region]) -> list[Region]:
    """Add the last line when all it gets is its ending."""
    full = list(regions)
    if not old.open_end or new.open_end:
        return full
    size = old.text.size
    if not any(region.start < size <= region.end for region in regions):
        at = next((n for n, region in enumerate(full) if region.start >= size), len(full))
        full.insert(at, Region(size - 1, size, 1))
    return full


def _trimmed(old: Content, new: Content, regions: list[Region]) -> Iterator[_Change]:
    """Yield the changes without the lines that are the same at either end."""
    shift = 0
    for region in regions:
        start = region.start + shift
        gone = old.slice(region.start, region.end)
        come = new.slice(start, start + region.size)
        shift += region.size - (region.end - region.start)
        same = 0
        while same < min(len(gone), len(come)) and gone[same] == come[same]:
            same += 1
        gone, come = gone[same:], come[same:]
        while gone and come and gone[-1] == come[-1]:
            gone.pop()
            come.pop()
        if gone or come:
            yield _Change(region.start + same, gone, start + same, come)


def _hunk(old: Content, hunk: list[_Change]) -> Iterator[str]:
    first, last = hunk[0], hunk[-1]
    start = max(first.start - _CONTEXT_LINES, 0)
    before = first.start - start
    after = old.slice(last.end, last.end + _CONTEXT_LINES)
    end, new_end = last.end + len(after), last.new_start + len(last.come) + len(after)
    yield f"@@ -{_span(start, end)} +{_span(first.new_start - before, new_end)} @@\n"
    at = start
    for change in hunk:
        yield from (_line(" ", line) for line in old.slice(at, change.start))
        yield from (_line("-", line) for line in change.gone)
        yield from (_line("+", line) for line in change.come)
        at = change.end
    yield from (_line(" ", line) for line in after)


def _span(start: int, end: int) -> str:
    if end - start == 1:
        return str(start + 1)
    return f"{start + (end > start)},{end - start}"


def _line(sign: str, line: str) -> str:
    return sign + (line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
