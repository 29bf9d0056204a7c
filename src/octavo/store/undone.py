"""Which parts of a log do not count any more, as the conversation in them was taken back.

Nothing is removed from a log when turns are undone. What was said from the first of them up to the
event that says so is not shown, until another event says that it counts again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import msgspec

from octavo.protocol.events import TurnsUndone
from octavo.store.tape import Tape

TURNS_UNDONE = b'{"type":"turns_undone"'
UNDO_UNDONE = b'{"type":"undo_undone"'
_TURN_STARTED = b'{"type":"turn_started"'
_MARKS = (TURNS_UNDONE, UNDO_UNDONE)
_SIGN = b'undone","at_ms":'
"""What both have at their beginning, and hardly anything else: one look finds either."""
_CHUNK_BYTES = 1 << 20


class _Started(msgspec.Struct):
    turn_id: str = ""


class Undone:
    """The places of a tape that do not count, in order and apart from each other."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._spans: list[tuple[int, int]] = []
        for span in sorted(spans):
            if self._spans and span[0] <= self._spans[-1][1]:
                low, high = self._spans.pop()
                self._spans.append((low, max(high, span[1])))
            else:
                self._spans.append(span)

    @classmethod
    def of(cls, tape: Tape) -> Undone:
        """Find them. Costs one look over the bytes."""
        said: list[tuple[int, int] | None] = []
        for at, line in _marks(tape):
            if line.startswith(UNDO_UNDONE):
                if said:
                    said.pop()
                continue
            said.append(_span(tape, at, line))
        return cls([span for span in said if span is not None])

    def __bool__(self) -> bool:
        return bool(self._spans)

    def end_of(self, at: int) -> int | None:
        """Return where the part ends that `at` is in; None where that counts."""
        found = self._around(at)
        return None if found is None else found[1]

    def start_of(self, at: int) -> int | None:
        """Return where the part begins that `at` is in; None where that counts."""
        found = self._around(at)
        return None if found is None else found[0]

    def turn_ids(self, tape: Tape) -> frozenset[str]:
        """Return the turns that began in these parts."""
        found: set[str] = set()
        for low, high in self._spans:
            at = tape.find(_TURN_STARTED, low)
            while 0 <= at < high:
                _, line = next(tape.lines(at))
                try:
                    found.add(msgspec.json.decode(line, type=_Started).turn_id)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    pass  # damaged: it says nothing
                at = tape.find(_TURN_STARTED, at + 1)
        return frozenset(found)

    def _around(self, at: int) -> tuple[int, int] | None:
        found = bisect_right(self._spans, (at, 1 << 62)) - 1
        if found < 0 or at >= self._spans[found][1]:
            return None
        return self._spans[found]


def is_undone_in(data: bytes) -> bool:
    """Whether lines of a log, from the beginning of one, undo anything or take that back."""
    return data.startswith(_MARKS) or any(b"\n" + mark in data for mark in _MARKS)


def _marks(tape: Tape) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that undo something, or take that back, each with its place."""
    at = 0
    while at < tape.size:
        chunk = tape.read(at, at + _CHUNK_BYTES + len(_SIGN) - 1)
        found = chunk.find(_SIGN)
        while found >= 0:
            start = tape.line_at(at + found + 1)
            line = next(tape.lines(start), (0, b""))[1]
            if line.startswith(_MARKS):
                yield start, line
            found = chunk.find(_SIGN, found + 1)
        at += _CHUNK_BYTES


def _span(tape: Tape, at: int, line: bytes) -> tuple[int, int] | None:
    try:
        event = msgspec.json.decode(line, type=TurnsUndone)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not event.conversation or not event.turn_ids:
        return None
    wanted = _TURN_STARTED + b',"turn_id":' + msgspec.json.encode(event.turn_ids[0])
    start = tape.find_last(wanted, at)
    return None if start < 0 else (start, at)
