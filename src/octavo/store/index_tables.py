"""The tables of the index: how they are made, kept up with the logs, and asked. See `index`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from octavo.store.find import Log, logs
from octavo.store.gist import Gist

if TYPE_CHECKING:
    from sqlite3 import Connection

VERSION = 1
"""Of the tables; a file of another version is made anew."""

SortKey = Literal["created_at", "updated_at"]

_TEXTS_BITS = 24
"""A message's number holds its thread's number, then its own in this many bits."""
_TAIL_BYTES = 64
_BATCH_BYTES = 16 << 20
_BATCH_LOGS = 200
_READ_BYTES = 32 << 20
"""Of one log at a time."""
_SNIPPET_CHARACTERS = 160
_PREFIX_CHARACTERS = 3
"""A shorter word is looked for as it is: too many words begin with two letters."""

_THREADS = """
CREATE TABLE threads (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, path TEXT NOT NULL, archived INTEGER NOT NULL,
    ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    offset INTEGER NOT NULL, tail BLOB NOT NULL, messages INTEGER NOT NULL,
    shown INTEGER NOT NULL, cwd TEXT NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, preview TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
    provider TEXT NOT NULL, source TEXT NOT NULL, version TEXT NOT NULL, git_branch TEXT,
    git_commit TEXT, forked_from TEXT, turns INTEGER NOT NULL, tokens INTEGER NOT NULL
)
"""


class Damaged(Exception):
    """The tables hold what was never put there, or are of another version."""


class Row(msgspec.Struct, frozen=True):
    """A thread as the index knows it. Times in milliseconds. What a fork shares counts, too."""

    id: str
    path: str
    archived: bool
    cwd: str
    created_at: int
    updated_at: int
    preview: str
    name: str
    model: str
    provider: str
    source: str
    version: str
    git_branch: str | None
    git_commit: str | None
    forked_from: str | None
    turns: int
    tokens: int


class Place(msgspec.Struct, frozen=True):
    """A place in a sorted list of threads: right after this one, or right before it."""

    value: int
    thread_id: str


class Filter(msgspec.Struct, frozen=True):
    """Which threads, and in which order.

    Attributes:
        cwds: those that began in one of these; all with None.
        sources: the faces that began them; all with none.
        term: a part of the name or of the first words.
        after: where the page begins.
    """

    archived: bool = False
    cwds: tuple[str, ...] | None = None
    sources: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    term: str = ""
    sort: SortKey = "created_at"
    ascending: bool = False
    after: Place | None = None
    limit: int = 25


class Page(msgspec.Struct, frozen=True):
    """Some threads; `more` follow."""

    rows: list[Row]
    more: bool


class Hit(msgspec.Struct, frozen=True):
    """A thread that was found, and the latest message of it that fits."""

    row: Row
    snippet: str
    role: str
    turn_id: str


_COLUMNS = ", ".join(f"threads.{name}" for name in Row.__struct_fields__)


def make(db: Connection, *, full_text: bool) -> None:
    """Make the tables in an empty database."""
    db.execute(_THREADS)
    if full_text:
        db.execute(
            "CREATE VIRTUAL TABLE texts USING"
            " fts5(text, role UNINDEXED, turn_id UNINDEXED, tokenize = 'unicode61')"
        )
    else:
        db.execute(
            "CREATE TABLE texts (n INTEGER PRIMARY KEY, text TEXT NOT NULL,"
            " role TEXT NOT NULL, turn_id TEXT NOT NULL)"
        )
    db.execute(f"PRAGMA user_version = {_version(full_text)}")


def prepare(db: Connection, *, full_text: bool) -> None:
    """See that an open file has the tables of this version, and makes no one wait.

    Raises:
        Damaged: it is of another version.
        DatabaseError: it is no database.
    """
    full_text = full_text and _has_full_text(db)
    db.execute("PRAGMA cell_size_check = ON")
    if _pragma(db, "user_version") != _version(full_text):
        _make_once(db, full_text=full_text)
    db.execute("PRAGMA synchronous = NORMAL")


def _make_once(db: Connection, *, full_text: bool) -> None:
    db.execute("PRAGMA journal_mode = WAL")  # kept in the file; without it, all is well but slower
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _pragma(db, "user_version")
        if found != _version(full_text):
            if found or db.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise Damaged(f"version {found}")
            make(db, full_text=full_text)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(full_text: bool) -> int:
    return VERSION * 2 + full_text


def _pragma(db: Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _has_full_text(db: Connection) -> bool:
    found = db.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone()
    return found is not None


# ---- Keeping up with the logs ----


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
    low = n << _TEXTS_BITS
    # Without a range of numbers sqlite would look at every message there is.
    found = db.execute(
        "SELECT rowid FROM texts WHERE rowid >= ? AND rowid < ?", (low, low + (1 << _TEXTS_BITS))
    ).fetchall()
    db.executemany("DELETE FROM texts WHERE rowid = ?", found)


_KEPT = (
    *("n", "path", "archived", "ino", "size", "mtime_ns", "offset", "tail", "messages"),
    *("updated_at", "preview", "name", "model", "provider", "turns", "tokens"),
)


def _take(db: Connection, home: Path, log: Log) -> None:
    """Read one log from where it was read to. Another process may have done so meanwhile."""
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
    gist = Gist()
    if row is not None:  # what it began with is not read again
        gist = Gist(None, *(row[name] for name in _KEPT[9:]))
    said = gist.take(data.split(b"\n")[:-1], first=row is None)
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
        values |= {"id": log.thread_id} | _beginning(home, log, gist, values)
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
            ((n << _TEXTS_BITS) + first + number, _storable(one.text), one.role, one.turn_id)
            for number, one in enumerate(said)
        ),
    )
    if rest:
        _take(db, home, log)


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


def _beginning(home: Path, log: Log, gist: Gist, values: dict[str, Any]) -> dict[str, Any]:
    """What the first line of a log says, once."""
    head = gist.head
    base = None if head is None else head.forked_from
    if base is not None:
        shared = _shared(home, log)
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


def _shared(home: Path, log: Log) -> Gist:
    """What a fork has from the logs it goes on from; nothing where they are not there."""
    from octavo.protocol.errors import StoreError
    from octavo.store.forks import parts

    gist = Gist()
    try:
        for part in parts(home, Path(log.path))[:-1]:
            data = part.path.read_bytes()[: part.end_bytes]
            gist.take(data.split(b"\n")[1:], first=False)
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


# ---- Asking ----


def threads(db: Connection, wanted: Filter) -> Page:
    """Return a page of threads."""
    where, values = _where(wanted)
    found = db.execute(
        f"SELECT {_COLUMNS} FROM threads WHERE {where} {_order(wanted)} LIMIT ?",
        (*values, wanted.limit + 1),
    ).fetchall()
    return Page(_rows(found[: wanted.limit]), more=len(found) > wanted.limit)


def thread(db: Connection, thread_id: str) -> Row | None:
    """Return one thread."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM threads WHERE shown AND id = ?", (thread_id,)
    ).fetchall()
    return _rows(found)[0] if found else None


def forks(db: Connection, thread_id: str) -> list[str]:
    """Return the ids of the threads that go on from this one."""
    found = db.execute(
        "SELECT id FROM threads WHERE forked_from = ? ORDER BY id", (thread_id,)
    ).fetchall()
    return [str(one) for (one,) in found]


def counts(db: Connection) -> tuple[int, int]:
    """Return how many threads and messages there are."""
    found = db.execute("SELECT count(*), coalesce(sum(messages), 0) FROM threads WHERE shown")
    number, messages = found.fetchone()
    return number, messages


def search(db: Connection, words: str, wanted: Filter) -> list[Hit]:
    """Return the threads that hold all of `words` in one message; see `Index.search`."""
    full_text = _pragma(db, "user_version") == _version(True)
    condition, match = _match(words) if full_text else _like(words)
    if not match:
        return []
    where, values = _where(wanted)
    found = db.execute(
        f"SELECT found.last, {_COLUMNS} FROM threads JOIN ("
        f" SELECT rowid >> {_TEXTS_BITS} AS thread, max(rowid) AS last FROM texts"
        f" WHERE {condition} GROUP BY thread"
        f") AS found ON found.thread = threads.n WHERE {where} {_order(wanted)} LIMIT ?",
        (*match, *values, wanted.limit),
    ).fetchall()
    hits: list[Hit] = []
    for (last, *_), row in zip(found, _rows([one[1:] for one in found]), strict=True):
        text, role, turn_id = db.execute(
            "SELECT text, role, turn_id FROM texts WHERE rowid = ?", (last,)
        ).fetchone()
        hits.append(Hit(row, _around(text, words), role, turn_id))
    return hits


def _match(words: str) -> tuple[str, list[str]]:
    """Each word as FTS5 takes it literally; the last one may go on if that is not half of all."""
    if not any(c.isalnum() for c in words):
        return "", []
    words = words.replace("\0", " ")
    terms = ['"' + word.replace('"', '""') + '"' for word in words.split()]
    goes_on = " *" if len(words.split()[-1]) >= _PREFIX_CHARACTERS else ""
    return "texts MATCH ?", [" ".join(terms) + goes_on]


def _like(words: str) -> tuple[str, list[str]]:
    terms = [f"%{_escaped(word)}%" for word in words.split()]
    return " AND ".join(["text LIKE ? ESCAPE '\\'"] * len(terms)), terms


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _around(text: str, words: str) -> str:
    """What is around the first of the words, on one line.

    Sqlite's own `snippet` would search again for each message that is shown.
    """
    text = " ".join(text.split())
    lower = text.lower()
    places = [lower.find(word.lower()) for word in words.split()]
    first = min((place for place in places if place >= 0), default=0)
    at = max(0, first - _SNIPPET_CHARACTERS // 3)
    cut = text[at : at + _SNIPPET_CHARACTERS]
    return ("…" if at else "") + cut + ("…" if at + len(cut) < len(text) else "")


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    parts = ["threads.shown", "threads.archived = ?"]
    values: list[Any] = [wanted.archived]
    for column, chosen in (
        ("cwd", wanted.cwds),
        ("source", wanted.sources or None),
        ("provider", wanted.providers or None),
    ):
        if chosen is not None:
            parts.append(f"threads.{column} IN ({', '.join('?' * len(chosen))})")
            values += chosen
    if wanted.excluded:
        parts.append(f"threads.id NOT IN ({', '.join('?' * len(wanted.excluded))})")
        values += wanted.excluded
    if wanted.term:
        parts.append("(threads.name LIKE ? ESCAPE '\\' OR threads.preview LIKE ? ESCAPE '\\')")
        values += [f"%{_escaped(wanted.term)}%"] * 2
    if wanted.after is not None:
        sign = ">" if wanted.ascending else "<"
        parts.append(f"(threads.{wanted.sort}, threads.id) {sign} (?, ?)")
        values += [wanted.after.value, wanted.after.thread_id]
    return " AND ".join(parts), values


def _order(wanted: Filter) -> str:
    way = "ASC" if wanted.ascending else "DESC"
    return f"ORDER BY threads.{wanted.sort} {way}, threads.id {way}"


def _rows(found: list[Any]) -> list[Row]:
    names = Row.__struct_fields__
    try:
        return [
            msgspec.convert(dict(zip(names, values, strict=True)), Row, strict=False)
            for values in found
        ]
    except (msgspec.ValidationError, ValueError) as failure:
        raise Damaged(str(failure)) from failure
