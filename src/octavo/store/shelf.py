"""What is done to a whole log: put it away, take it out again, delete it, find where to fork it.

Each takes the thread's lock first, so that nothing is done to a thread that is open anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octavo.protocol.errors import StoreError, UsageError
from octavo.protocol.events import ForkedFrom, ThreadNamed
from octavo.store.find import ARCHIVED, SESSIONS, is_archived, thread_id_of
from octavo.store.forks import check_depth, depth, turn_ended
from octavo.store.lock import Lock
from octavo.store.rollout import Rollout, make_private
from octavo.store.tape import Tape
from octavo.store.undone import Undone

_ANY_END = b'{"type":"turn_ended"'


def archive(home: Path, path: Path) -> Path:
    """Move a log among the archived ones; return where it is now. An archived one stays.

    Raises:
        ThreadBusy: the thread is open.
        StoreError: it could not be moved; it is where it was.
    """
    return _move(home, path, SESSIONS, ARCHIVED)


def unarchive(home: Path, path: Path) -> Path:
    """Move a log back; the opposite of `archive`."""
    return _move(home, path, ARCHIVED, SESSIONS)


def delete(home: Path, path: Path) -> None:
    """Delete a log, and the outputs of its commands that were kept.

    Raises:
        ThreadBusy: the thread is open.
        StoreError: it could not be deleted.
    """
    with _locked(path):
        path.unlink()
    outputs = home / "outputs" / thread_id_of(path)
    try:
        for file in outputs.iterdir():
            file.unlink()
        outputs.rmdir()
    except OSError:
        return  # there were none, or they are somebody else's: the thread is gone all the same


def rename(path: Path, name: str, at_ms: int) -> None:
    """Write a thread's new name into its log.

    Raises:
        ThreadBusy: the thread is open elsewhere.
        StoreError: the log could not be written to.
    """
    with Rollout.open(path) as log:
        log.append(ThreadNamed(at_ms, name))
        log.sync()


def fork_point(home: Path, path: Path, last_turn_id: str | None) -> ForkedFrom:
    """Return where a fork of the thread at `path` begins: after this turn, or after the last.

    Raises:
        UsageError: there is no such turn, or it has not ended.
        StoreError: a log that belongs to the thread is not there; or it is forked too often.
    """
    with Tape.open(home, path) as tape:
        if last_turn_id is None:
            at = _last_end(tape)
        else:
            at = tape.find_last(turn_ended(last_turn_id), tape.size)
        if at < 0 and last_turn_id is None:
            raise UsageError(
                f"Thread {thread_id_of(path)} cannot be forked: no turn has ended in it yet."
            )
        if at < 0:
            raise UsageError(
                f"Thread {thread_id_of(path)} cannot be forked there: no turn {last_turn_id!r} has "
                "ended in it.",
                hint="Name a turn that has ended, by its id.",
            )
        end, line = next(tape.lines(at))
        thread_id, end_bytes = tape.place(end + len(line) + 1)
    from octavo.store.find import find_exactly
    from octavo.store.gist import turn_of

    base = find_exactly(home, thread_id)
    deep = 1 + (0 if base is None else depth(base))
    check_depth(thread_id_of(path), deep)
    return ForkedFrom(thread_id, turn_of(line), end_bytes, deep)


def _last_end(tape: Tape) -> int:
    """Return where the last turn ends that was not undone; -1: there is none."""
    undone = Undone.of(tape)
    at = tape.find_last(_ANY_END, tape.size)
    while at >= 0 and (begun := undone.start_of(at)) is not None:
        at = tape.find_last(_ANY_END, begun)
    return at


def _move(home: Path, path: Path, root: str, other: str) -> Path:
    if is_archived(home, path) is (other == ARCHIVED):
        return path
    target = home / other / path.relative_to(home / root)
    with _locked(path):
        make_private(target.parent)
        if target.exists():
            raise StoreError(f"{target} is there already.", hint="Move it away first.")
        os.rename(path, target)
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = None
    try:
        lock = Lock.take(path.with_suffix(".lock"))
        if not path.is_file():
            raise StoreError(f"There is no thread at {path} any more.")
        yield
    except OSError as failure:
        raise StoreError(
            f"{path} stays as it is: {failure.strerror or failure}.",
            hint="Check that it is yours to change.",
        ) from failure
    finally:
        if lock is not None:
            lock.release()
