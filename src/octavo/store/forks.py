"""Threads that begin in another thread's log: nothing of it is copied, it is read where it is.

The first event of such a log says which log it goes on from and up to where (`ForkedFrom`); what
comes before that place never changes, as logs are only appended to. `parts` follows this to the
root, and refuses what does not fit: a log that is gone, was cut, or says something else there.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from octavo.protocol.errors import StoreError
from octavo.protocol.events import Event, ForkedFrom
from octavo.store.find import find_exactly, thread_id_of
from octavo.store.reading import Reading, read, read_header

MAX_DEPTH = 32
"""How many logs in a row a thread may go on from."""

_LAST_LINE_BYTES = 1 << 20


class Part(msgspec.Struct, frozen=True):
    """A log, as far as a thread is made of it; all of it with None."""

    path: Path
    end_bytes: int | None


def parts(home: Path, path: Path) -> list[Part]:
    """Return the logs that the thread at `path` is made of, its own last.

    Raises:
        StoreError: one that it goes on from is not there, or is not what it was.
    """
    found = [Part(path, None)]
    header = read_header(path)
    while header is not None and header.forked_from is not None:
        base = header.forked_from
        if len(found) > MAX_DEPTH:
            raise _too_deep(thread_id_of(path))
        parent = find_exactly(home, base.thread_id)
        if parent is None:
            raise StoreError(
                f"Thread {header.thread_id} goes on from thread {base.thread_id}, whose log is not "
                f"in {home} any more.",
                hint="Put that log back where it was; without it the beginning is missing.",
            )
        if not _says(parent, base):
            raise StoreError(
                f"Thread {header.thread_id} goes on from {parent}, which is not what it was then: "
                f"turn {base.turn_id} does not end at byte {base.end_bytes:,}.",
                hint="Put the log back as it was; without it the beginning is missing.",
            )
        found.append(Part(parent, base.end_bytes))
        header = read_header(parent)
    found.reverse()
    return found


def read_thread(home: Path, path: Path) -> Reading:
    """Read all events of the thread at `path`, those that it shares with others included.

    Raises:
        StoreError: see `parts` and `reading.read`.
    """
    own = read(path)
    if not own.events or getattr(own.events[0], "forked_from", None) is None:
        return own
    events: list[Event] = own.events[:1]
    warnings: list[str] = []
    for part in parts(home, path)[:-1]:
        shared = read(part.path, end_bytes=part.end_bytes)
        events += shared.events[1:]
        warnings += shared.warnings
    return Reading(events + own.events[1:], own.torn, (*warnings, *own.warnings))


def depth(path: Path) -> int:
    """Return how many logs the one at `path` goes on from."""
    header = read_header(path)
    return 0 if header is None or header.forked_from is None else header.forked_from.depth


def check_depth(thread_id: str, depth: int) -> None:
    """Raise StoreError where a thread would go on from more logs than can be followed."""
    if depth > MAX_DEPTH:
        raise _too_deep(thread_id)


def _too_deep(thread_id: str) -> StoreError:
    return StoreError(
        f"Thread {thread_id} goes on from more than {MAX_DEPTH} threads in a row.",
        hint="Fork the thread it came from, or begin a new one.",
    )


def _says(path: Path, base: ForkedFrom) -> bool:
    """Whether the log at `path` says at that place that the turn ended."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < base.end_bytes:
                return False
            file.seek(max(0, base.end_bytes - _LAST_LINE_BYTES))
            before = file.read(min(base.end_bytes, _LAST_LINE_BYTES))
    except OSError:
        return False
    last = before[:-1].rpartition(b"\n")[2]
    return before.endswith(b"\n") and last.startswith(turn_ended(base.turn_id))


def turn_ended(turn_id: str) -> bytes:
    """Return how the line of the log begins that says that this turn ended."""
    return b'{"type":"turn_ended","turn_id":' + msgspec.json.encode(turn_id)
