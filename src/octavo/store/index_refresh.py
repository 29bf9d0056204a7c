"""Keeping the tables of the index up with the logs. See `index`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octavo.store.find import Log, logs
from octavo.store.gist import Gist
from octavo.store.index_tables import TEXTS_BITS
from octavo.store.tape import Tape
from octavo.store.undone import Undone, is_undone_in

if TYPE_CHECKING:
    from sqlite3 import Connection

_TAIL_BYTES = 64
_BATCH_BYTES = 16 << 20
_BATCH_LOGS = 200
_READ_BYTES = 32 << 20
"""Of one log at a time."""


def refresh(db: Connection, home: Path) -> None:
    """Take in what the logs say since the last time. Writes nothing when that is nothing."""
    known = {
        thread_id: state
        for thread_id, *state in db.execute("SELECT id, path, ino, size, mtime_ns FROM threads")
    }
    stale: list[tuple[Log, int]] = []
    there: set[str] = set()
    for log in logs(home):
        thread_id, path, _ = log
        if thread_id in there:
            continue  # a copy in the archive: the log that is in use counts
        try:
            found = os.stat(path)
        except OSError:
            continue
        there.add(thread_id)
        row = known.get(thread_id)
        if row != [path, found.st_ino, found.st_size, found.st_mtime_ns]:
            stale.append((log, found.st_size - (0 if row is None else row[2])))
    gone = known.keys() - there
    for batch in _batches(stale):
        _in_turn(db, home, batch, ())
    if gone:
        _in_turn(db, home, (), gone)


def _batches(stale: list[tuple[Log, int]]) -> Iterable[list[Log]]:
    batch: list[Log] = []
    batch_bytes = 0
    for log, size in stale:
        batch.append(log)
        batch_bytes += max(size, 0)
        if batch_bytes >= _BATCH_BYTES or len(batch) == _BATCH_LOGS:
            yield batch
            batch, batch_bytes = [], 0
    if batch:
        yield batch


def _in_turn(db: Connection, home: Path, batch: Iterable[Log], gone: Iterable[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for log in batch:
            _take(db, home, log)
        for thread_id in gone:
            found = db.execute("SELECT n, path FROM threads WHERE id = ?", (thread_id,)).fetchone()
            if found is not None and not os.path.exists(found[1]):
                _forget(db, found[0])
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _forget(db: Connection, n: int) -> None:
    db.execute("DELETE FROM threads WHERE n = ?", (n,))
    low = n << TEXTS_BITS
    # Without a range of numbers sqlite would look at every message there is.
    found = db.execute(
        "SELECT rowid FROM texts WHERE rowid >= ? AND rowid < ?", (low, low + (1 << TEXTS_BITS))
    ).fetchall()
    db.executemany("DELETE FROM texts WHERE rowid = ?", found)


_KEPT = (
    *("n", "path", "archived", "ino", "size", "mtime_ns", "offset", "tail", "messages"),
    *("updated_at", "preview", "name", "model", "provider", "turns", "tokens"),
)


def _take(db: Connection, home: Path, log: Log, undone: frozenset[str] | None = None) -> None:
    """Read one log from where it was read to. Another process may have done so meanwhile.

    Args:
        undone: of a log that is being read from its beginning: the turns that do not count.
    """
    try:
        fd = os.open(log.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # gone, or not ours to read: not listed
    try:
        found = os.fstat(fd)
        kept = db.execute(
            f"SELECT {', '.join(_KEPT)} FROM threads WHERE id = ?", (log.thread_id,)
        ).fetchone()
        row = None if kept is None else dict(zip(_KEPT, kept, strict=True))
        if row is not None and not _goes_on(row, fd, found):
            _forget(db, row["n"])
            row = None
        offset = 0 if row is None else row["offset"]
        data, rest = _lines_from(fd, offset, found.st_size)
    finally:
        os.close(fd)
    if row is None and not data:
        return  # its first line is still being written
    if row is not None and undone is None and is_undone_in(data):
        _forget(db, row["n"])  # what was read before may not count, or count again
        _take(db, home, log)
        return
    if row is None:
        undone = _undone(home, log)
    gist = Gist()
    if row is not None:  # what it began with is not read again
        gist = Gist(None, *(row[name] for name in _KEPT[9:]))
    said = gist.take(data.split(b"\n")[:-1], first=row is None, undone=undone or ())
    values = {
        "path": log.path,
        "archived": log.archived,
        "ino": found.st_ino,
        "size": found.st_size - rest,
        "mtime_ns": found.st_mtime_ns,
        "offset": offset + len(data),
        "tail": data[-_TAIL_BYTES:] or (b"" if row is None else row["tail"]),
        "messages": (0 if row is None else row["messages"]) + len(said),
        "updated_at": gist.updated_ms,
        "preview": gist.preview,
        "name": gist.name,
        "model": gist.model,
        "provider": gist.provider,
        "turns": gist.turns,
        "tokens": gist.tokens,
    }
    if row is None:
        values |= {"id": log.thread_id} | _beginning(home, log, gist, values, undone or frozenset())
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        n = db.execute(f"INSERT INTO threads ({names}) VALUES ({marks})", values).lastrowid
        assert n is not None
        first = 0
    else:
        n, first = row["n"], row["messages"]
        changes = ", ".join(f"{name} = :{name}" for name in values)
        db.execute(f"UPDATE threads SET {changes} WHERE n = :n", values | {"n": n})
    db.executemany(
        "INSERT INTO texts (rowid, text, role, turn_id) VALUES (?, ?, ?, ?)",
        (
            ((n << TEXTS_BITS) + first + number, _storable(one.text), one.role, one.turn_id)
            for number, one in enumerate(said)
        ),
    )
    if rest:
        _take(db, home, log, undone)


def _lines_from(fd: int, offset: int, size: int) -> tuple[bytes, int]:
    """Read whole lines; return them and how many bytes are left for another time.

    A line that is still being written is not left: it will make the log longer.
    """
    reach = _READ_BYTES
    while True:
        data = os.pread(fd, min(reach, size - offset), offset)
        whole = data[: data.rfind(b"\n") + 1]
        if offset + len(data) >= size or not data:
            return whole, 0
        if whole:
            return whole, size - offset - len(whole)
        reach *= 8


def _undone(home: Path, log: Log) -> frozenset[str]:
    """Which turns do not count: of this log, and of those that it goes on from."""
    from octavo.protocol.errors import StoreError

    try:
        with Tape.open(home, Path(log.path)) as tape:
            undone = Undone.of(tape)
            return undone.turn_ids(tape) if undone else frozenset()
    except (OSError, StoreError):
        return frozenset()


def _beginning(
    home: Path, log: Log, gist: Gist, values: dict[str, Any], undone: frozenset[str]
) -> dict[str, Any]:
    """What the first line of a log says, once."""
    head = gist.head
    base = None if head is None else head.forked_from
    if base is not None:
        shared = _shared(home, log, undone)
        values["preview"] = shared.preview or gist.preview
        values["turns"] += shared.turns
        values["tokens"] += shared.tokens
    return {
        "shown": head is not None and head.thread_id == log.thread_id,
        "cwd": "" if head is None else head.cwd,
        "created_at": 0 if head is None else head.at_ms,
        "source": "" if head is None else head.source,
        "version": "" if head is None else head.version,
        "git_branch": None if head is None else head.git_branch,
        "git_commit": None if head is None else head.git_commit,
        "forked_from": None if base is None else base.thread_id,
    }


def _shared(home: Path, log: Log, undone: frozenset[str]) -> Gist:
    """What a fork has from the logs it goes on from; nothing where they are not there."""
    from octavo.protocol.errors import StoreError
    from octavo.store.forks import parts

    gist = Gist()
    try:
        for part in parts(home, Path(log.path))[:-1]:
            data = part.path.read_bytes()[: part.end_bytes]
            gist.take(data.split(b"\n")[1:], first=False, undone=undone)
    except (OSError, StoreError):
        return Gist()
    return gist


def _goes_on(row: dict[str, Any], fd: int, found: os.stat_result) -> bool:
    """Whether the log is still the one that was read, with more at its end."""
    tail = bytes(row["tail"])
    if found.st_ino != row["ino"] or found.st_size < row["offset"]:
        return False
    return os.pread(fd, len(tail), row["offset"] - len(tail)) == tail


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
