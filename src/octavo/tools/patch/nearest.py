"""Says why a chunk has no place: the nearest one and what differs there, or the many there are.

Runs only when a patch has failed. Its time is bounded, and so is its text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from octavo.tools.patch.parse import shown

_WANTED_LINES = 400
_FILE_LINES = 500_000
_HITS_A_LINE = 1_000
_PROBE_WORDS = 6
_PROBED_LINES = 30
_COMPARED_CHARS = 200
_LIKE = 0.5
_AROUND = 3
_EXCERPT_CHARS = 160
_SHOWN_PLACES = 5
_SHOWN_LEVELS = 3
_LOOK_UP_LINES = 300


def explain(lines: list[str], wanted: Sequence[str], start: int | None = None) -> str:
    """Return sentences about the place in `lines` most like `wanted`, or about `start`."""
    if not lines:
        return "The file is empty."
    if start is None:
        start = nearest(lines, wanted)
    if start is None:
        return "Nothing in the file is like them; read the file before you patch it."
    for offset, line in enumerate(wanted):
        at = start + offset
        if not 0 <= at < len(lines):
            edge = "The file ends" if at > 0 else "The file begins"
            where = f"The nearest place is line {max(start, 0) + 1}. {edge} there, but the patch "
            return f"{where}has {shown(line)}.\n{_excerpt(lines, min(max(at, 0), len(lines) - 1))}"
        if lines[at].strip() != line.strip():
            spaces = ""
            if lines[at].split() == line.split():
                spaces = "\n  (only the space inside the line differs)"
            place = f"The nearest place is line {max(start, 0) + 1}; line {at + 1} differs"
            if at == start:
                place = f"Line {at + 1} is the nearest"
            return (
                f"{place}:\n"
                f"  patch: {shown(line)}\n"
                f"  file:  {shown(lines[at])}{spaces}\n{_excerpt(lines, at)}"
            )
    return f"The same lines are at line {start + 1}."


def places_text(lines: list[str], places: Sequence[int]) -> str:
    """Return line numbers for a sentence, each with the less indented lines it stands under."""
    texts = [f"line {at + 1}{_under(lines, at)}" for at in places[:_SHOWN_PLACES]]
    if len(places) > _SHOWN_PLACES:
        texts.append("and more")
    return ", ".join(texts)


def _under(lines: list[str], at: int) -> str:
    depth = _depth(lines[at])
    above: list[str] = []
    for line in reversed(lines[max(at - _LOOK_UP_LINES, 0) : at]):
        if line.strip() and _depth(line) < depth:
            above.append(shown(line))
            depth = _depth(line)
            if len(above) == _SHOWN_LEVELS:
                break
    return f" (under {', '.join(reversed(above))})" if above else ""


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def nearest(lines: list[str], wanted: Sequence[str]) -> int | None:
    """Return where `wanted` would start, perhaps before the file, judged by the lines it shares."""
    places: dict[str, list[int]] = {}
    for offset, line in enumerate(wanted[:_WANTED_LINES]):
        if key := line.strip():
            places.setdefault(key, []).append(offset)
    hits: dict[str, list[int]] = {}
    for at, key in enumerate(map(str.strip, lines[:_FILE_LINES])):
        if key in places:
            hits.setdefault(key, []).append(at)
    votes: dict[int, float] = {}
    for key, found in hits.items():
        weight = len(key) / len(found)
        for at in found[: _HITS_A_LINE // len(places[key]) + 1]:
            for offset in places[key]:
                votes[at - offset] = votes.get(at - offset, 0.0) + weight
    if votes:
        return min(votes, key=lambda start: (-votes[start], start < 0, start))
    return _alike(lines, wanted)


def _alike(lines: list[str], wanted: Sequence[str]) -> int | None:
    """Return where `wanted` would start by the line most like its longest one."""
    from difflib import SequenceMatcher  # costs a start-up nothing, as failures are rare

    offset, probe = max(enumerate(wanted[:_WANTED_LINES]), key=lambda pair: len(pair[1].strip()))
    probe = probe.strip()[:_COMPARED_CHARS]
    words = sorted(set(re.findall(r"\w{2,}", probe)), key=lambda word: (-len(word), word))
    shared: Counter[int] = Counter()
    for word in words[:_PROBE_WORDS]:
        for at, line in enumerate(lines[:_FILE_LINES]):
            if word in line:
                shared[at] += len(word)
    best, best_likeness = None, _LIKE
    matcher = SequenceMatcher(b=probe, autojunk=False)
    for at, _ in shared.most_common(_PROBED_LINES):
        matcher.set_seq1(lines[at].strip()[:_COMPARED_CHARS])
        if (likeness := matcher.ratio()) > best_likeness:
            best, best_likeness = at - offset, likeness
    return best


def _excerpt(lines: list[str], at: int) -> str:
    first = max(at - _AROUND, 0)
    numbered = (
        f"{number:>6}  {line[:_EXCERPT_CHARS].translate(_CONTROLS)}"
        for number, line in enumerate(lines[first : at + _AROUND + 1], first + 1)
    )
    return "The file there:\n" + "\n".join(numbered)


_CONTROLS = dict.fromkeys((*range(9), *range(10, 32), 127, *range(0xDC80, 0xDD00)), "\ufffd")
