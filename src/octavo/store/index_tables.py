"""The tables of the index: how they are made and asked. See `index`, and `index_refresh`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from sqlite3 import Connection

VERSION = 2
"""Of the tables; a file of another version is made anew."""

SortKey = Literal["created_at", "updated_at"]

TEXTS_BITS = 24
"""A message's number holds its thread's number, then its own in this many bits."""
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


def slack(db: Connection) -> tuple[int, int]:
    """Return how many threads there are whose logs are gone, and how much of the file is free."""
    paths = db.execute("SELECT path FROM threads").fetchall()
    gone = sum(not os.path.exists(path) for (path,) in paths)
    return gone, _pragma(db, "freelist_count") * _pragma(db, "page_size")


def compact(db: Connection) -> None:
    """Write the tables anew, without what was removed from them."""
    if _pragma(db, "user_version") == _version(True):
        db.execute("INSERT INTO texts (texts) VALUES ('optimize')")
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def search(db: Connection, words: str, wanted: Filter) -> list[Hit]:
    """Return the threads that hold all of `words` in one message; see `Index.search`."""
    full_text = _pragma(db, "user_version") == _version(True)
    condition, match = _match(words) if full_text else _like(words)
    if not match:
        return []
    where, values = _where(wanted)
    found = db.execute(
        f"SELECT found.last, {_COLUMNS} FROM threads JOIN ("
        f" SELECT rowid >> {TEXTS_BITS} AS thread, max(rowid) AS last FROM texts"
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
