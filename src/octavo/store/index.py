"""Threads by time, folder and name, and their text by words, without reading their logs again.

A sqlite file beside the logs, made from them alone: it can be deleted at any time, and one that is
missing, damaged, of another version or behind is made good before it answers. Each log is read from
where it was read to last. Where it cannot be written (a read-only home, a full disk), the same is
made in memory, once for each process, and answers the same.

Nothing here is called on the way of a turn, and nothing is written unless a log has changed.
Several processes may share the file: readers wait for nobody, writers take turns in small pieces.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from octavo.store import index_tables as tables
from octavo.store.index_refresh import refresh
from octavo.store.index_tables import Filter, Hit, Page, Row

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

BUSY_S = 5.0
"""How long one waits for another process that writes; then one does without the file."""
_OF_THE_DISK = frozenset((3, 5, 6, 8, 10, 13, 14, 15, 22))
"""PERM, BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL, NOLFS: the file may be good, only
it cannot be used now. Whatever else sqlite says, the file is made anew."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What a new index holds. `stored` is false where it could only be made in memory."""

    threads: int
    messages: int
    stored: bool


class Slack(msgspec.Struct, frozen=True):
    """How many threads in the index are gone, and what is free in its file, in bytes."""

    gone: int
    free_bytes: int
    size_bytes: int

    @property
    def is_worth_it(self) -> bool:
        """Whether it is worth writing the file anew."""
        return bool(self.gone) or self.free_bytes > max(1 << 20, self.size_bytes // 4)


class Index:
    """The index of one home. Its methods block, and may be called from any thread.

    Args:
        full_text: use FTS5 where this sqlite has it. Without, words are found as parts of words by
            reading all text, which takes longer.
    """

    def __init__(self, home: Path, *, full_text: bool = True) -> None:
        self.home = home
        self.path = home / "index" / "threads.sqlite"
        self._full_text = full_text
        self._memory: Connection | None = None
        self._lock = threading.Lock()

    def threads(self, wanted: Filter) -> Page:
        """Return a page of threads."""
        return self._answer(lambda db: tables.threads(db, wanted))

    def search(self, words: str, wanted: Filter) -> list[Hit]:
        """Return the threads that hold all of `words` in one message, as `wanted` sorts them.

        The last word may be the beginning of one, if it has three letters. Upper and lower case,
        and accents, are alike.
        """
        return self._answer(lambda db: tables.search(db, words, wanted))

    def thread(self, thread_id: str) -> Row | None:
        """Return what is known of one thread."""
        return self._answer(lambda db: tables.thread(db, thread_id))

    def forks(self, thread_id: str) -> list[str]:
        """Return the ids of threads that go on from this one's log."""
        return self._answer(lambda db: tables.forks(db, thread_id))

    def rebuild(self) -> Rebuilt:
        """Throw away what there is and read every log."""
        with self._lock:
            self._memory = None
            if self.path.exists():
                self._remove(None)
        counts = self._answer(tables.counts)
        return Rebuilt(*counts, stored=self._memory is None)

    def slack(self) -> Slack | None:
        """Return what the file holds for nothing; None where there is no file. Writes nothing."""
        from sqlite3 import DatabaseError

        with self._lock:
            if not self.path.exists():
                return None
            try:
                with self._stored() as (db, found):
                    return Slack(*tables.slack(db), found.st_size)
            except (OSError, DatabaseError, tables.Damaged):
                return None

    def compact(self) -> None:
        """Forget threads that are gone, and give back the room.

        Raises:
            OSError: the file cannot be written now.
        """
        from sqlite3 import DatabaseError

        with self._lock:
            try:
                with self._stored() as (db, _):
                    refresh(db, self.home)
                    tables.compact(db)
            except (DatabaseError, tables.Damaged) as failure:
                raise OSError(f"the index cannot be written now: {failure}") from failure

    def _answer(self, ask: Callable[[Connection], T]) -> T:
        from sqlite3 import DatabaseError

        with self._lock:
            for _ in range(2):  # a damaged one is made anew, once
                if self._memory is not None:
                    break
                opened: os.stat_result | None = None
                try:
                    with self._stored() as (db, opened):
                        refresh(db, self.home)
                        return ask(db)
                except OSError:
                    break
                except (DatabaseError, tables.Damaged) as failure:
                    code = getattr(failure, "sqlite_errorcode", 0) or 0
                    if code & 0xFF in _OF_THE_DISK or not self._remove(opened):
                        break
            return self._from_memory(ask)

    def _from_memory(self, ask: Callable[[Connection], T]) -> T:
        import sqlite3

        if self._memory is None:
            self._memory = sqlite3.connect(
                ":memory:", isolation_level=None, check_same_thread=False
            )
            tables.make(self._memory, full_text=self._full_text)
        refresh(self._memory, self.home)
        return ask(self._memory)

    @contextmanager
    def _stored(self) -> Iterator[tuple[Connection, os.stat_result]]:
        """The file, opened and of this version. Raises OSError, DatabaseError, Damaged."""
        import sqlite3

        from octavo.store.rollout import make_private

        if not self.path.exists():
            if not self.home.is_dir():
                raise FileNotFoundError(f"{self.home} is not there: nothing is made for asking")
            make_private(self.path.parent)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            opened = os.fstat(fd)
        finally:
            os.close(fd)
        db = sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        try:
            tables.prepare(db, full_text=self._full_text)
            yield db, opened
        finally:
            db.close()

    def _remove(self, opened: os.stat_result | None) -> bool:
        """Remove the file, unless another process has put a new one in its place meanwhile."""
        import fcntl

        try:
            fd = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if opened is not None and not os.path.samestat(opened, os.stat(self.path)):
                return True
            for suffix in ("-wal", "-shm", "-journal", ""):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return True
        except FileNotFoundError:
            return True
        except OSError:
            return False
        finally:
            os.close(fd)
