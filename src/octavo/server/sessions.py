"""Threads that need not be loaded: find, read, name, put away, delete. See `methods.sessions`."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio.lowlevel
import anyio.to_thread
import msgspec

from octavo.agent.clock import now_ms
from octavo.config.paths import octavo_home
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol import sessions as s
from octavo.protocol.errors import OctavoError, UsageError
from octavo.protocol.events import ThreadNamed
from octavo.server.connection import Handler, Request
from octavo.server.history import History
from octavo.server.methods.threads import source_word, status_of, thread_of
from octavo.store import shelf
from octavo.store.find import find, thread_id_of
from octavo.store.index import Index
from octavo.store.index_tables import Filter, Place, Row, SortKey
from octavo.store.reading import check_header
from octavo.store.rollout import writer_of
from octavo.store.tape import Tape

if TYPE_CHECKING:
    from octavo.agent.thread import Agent
    from octavo.server.server import Server

T = TypeVar("T")

DEFAULT_PAGE = 25
DEFAULT_ITEMS = 100
PAGE_LIMIT = 1000
NAME_CHARACTERS = 200
EXCLUDED_LIMIT = 100
_SORTS: dict[str, SortKey] = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "recency_at": "updated_at",
}
_SOURCES = {"appServer": "app-server"}
_DIGITS = 18


async def list_threads(request: Request) -> m.ThreadListResult:
    """thread/list"""
    params = request.params(m.ThreadListParams)
    excluded = params.excluded_thread_ids or ()
    if len(excluded) > EXCLUDED_LIMIT:
        raise UsageError(f"excludedThreadIds holds {len(excluded)} ids; {EXCLUDED_LIMIT} may be.")
    sort = _SORTS.get(params.sort_key or "created_at")
    if sort is None:
        raise UsageError(
            f"Threads cannot be sorted by {params.sort_key!r}.", hint=f"By: {', '.join(_SORTS)}."
        )
    ascending = params.sort_direction == "asc"
    wanted = Filter(
        archived=bool(params.archived),
        cwds=_cwds(params.cwd),
        sources=tuple(_SOURCES.get(kind, kind) for kind in params.source_kinds or ()),
        providers=params.model_providers or (),
        excluded=excluded,
        term=params.search_term or "",
        sort=sort,
        ascending=ascending,
        after=_place(params.cursor),
        limit=_limit(params.limit, DEFAULT_PAGE),
    )
    index = _index(request.server)
    page = await anyio.to_thread.run_sync(index.threads, wanted)
    if not page.rows:
        return m.ThreadListResult(())
    first, last = page.rows[0], page.rows[-1]
    return m.ThreadListResult(
        tuple(_listed(request.server, row) for row in page.rows),
        next_cursor=_cursor(last, sort) if page.more else None,
        backwards_cursor=_cursor(first, sort),
    )


async def search(request: Request) -> s.SearchResult:
    """octavo/thread/search"""
    params = request.params(s.SearchParams)
    if not params.query.strip():
        raise UsageError("There is nothing to search for.", hint="Name a word.")
    limit = _limit(params.limit, DEFAULT_PAGE)
    wanted = Filter(
        archived=bool(params.archived),
        cwds=_cwds(params.cwd),
        sort="updated_at",
        after=_place(params.cursor),
        limit=limit + 1,
    )
    index = _index(request.server)
    hits = await anyio.to_thread.run_sync(index.search, params.query, wanted)
    more = len(hits) > limit
    hits = hits[:limit]
    return s.SearchResult(
        tuple(
            s.SearchHit(
                _listed(request.server, hit.row),
                hit.snippet,
                "user" if hit.role == "user" else "assistant",
                hit.turn_id,
            )
            for hit in hits
        ),
        next_cursor=_cursor(hits[-1].row, "updated_at") if more else None,
    )


async def rebuild(request: Request) -> s.IndexRebuildResult:
    """octavo/index/rebuild"""
    began = time.monotonic()
    done = await anyio.to_thread.run_sync(_index(request.server).rebuild)
    took_ms = round((time.monotonic() - began) * 1000)
    return s.IndexRebuildResult(done.threads, done.messages, done.stored, took_ms)


async def read(request: Request) -> s.ThreadReadResult:
    """thread/read"""
    params = request.params(s.ThreadReadParams)
    server = request.server
    agent = server.threads.get(params.thread_id)
    if agent is not None and not params.include_turns:
        return s.ThreadReadResult(thread_of(agent))
    path = find(_home(server), params.thread_id)
    thread = await described(server, path)
    if agent is None:
        writer = await anyio.to_thread.run_sync(writer_of, path)
        thread = msgspec.structs.replace(thread, octavo_held_by=writer)
    if params.include_turns:
        turns = await ask_history(server, path, whole)
        thread = msgspec.structs.replace(thread, turns=turns)
    return s.ThreadReadResult(thread)


def whole(history: History) -> tuple[it.Turn, ...]:
    """Return all turns with all their items, oldest first."""
    turns = (history.turn(start, end, "full") for start, end in history.turns(0))
    return tuple(turn for turn in turns if turn is not None)


async def list_turns(request: Request) -> s.TurnsListResult:
    """thread/turns/list"""
    params = request.params(s.TurnsListParams)
    limit = _limit(params.limit, DEFAULT_PAGE)
    view = params.items_view or "summary"
    ascending = params.sort_direction == "asc"
    at = _offset(params.cursor)

    def page(history: History) -> s.TurnsListResult:
        if ascending:
            found = history.turns(0 if at is None else at + 1)
        else:
            found = history.turns_back(1 << 62 if at is None else at)
        places = list(islice(found, limit + 1))
        shown = places[:limit]
        turns = (history.turn(start, end, view) for start, end in shown)
        return s.TurnsListResult(
            tuple(turn for turn in turns if turn is not None),
            next_cursor=str(shown[-1][0]) if len(places) > limit else None,
            backwards_cursor=str(shown[0][0]) if shown else None,
        )

    return await ask_history(request.server, find(_home(request.server), params.thread_id), page)


async def list_items(request: Request) -> s.ItemsListResult:
    """thread/items/list"""
    params = request.params(s.ItemsListParams)
    limit = _limit(params.limit, DEFAULT_ITEMS)
    ascending = params.sort_direction != "desc"

    def page(history: History) -> s.ItemsListResult:
        start, end = 0, 1 << 62
        if params.turn_id is not None:
            start, end = history.turn_range(params.turn_id)
        at = _anchor(history, params, start, end)
        if at is not None:
            start, end = (max(start, at + 1), end) if ascending else (start, min(end, at))
        found = history.items(start, end) if ascending else history.items_back(start, end)
        if params.turn_id is not None:
            found = (shown for shown in found if shown.entry.turn_id == params.turn_id)
        places = list(islice(found, limit + 1))
        shown = places[:limit]
        history.close(shown)
        return s.ItemsListResult(
            tuple(one.entry for one in shown),
            next_cursor=str(shown[-1].at) if len(places) > limit else None,
            backwards_cursor=str(shown[0].at) if shown else None,
        )

    return await ask_history(request.server, find(_home(request.server), params.thread_id), page)


async def set_name(request: Request) -> m.Nothing:
    """thread/name/set"""
    params = request.params(s.ThreadSetNameParams)
    name = " ".join(params.name.split())
    if not name:
        raise UsageError("A thread's name cannot be empty.", hint="Give it at least one letter.")
    if len(name) > NAME_CHARACTERS:
        raise UsageError(f"A name has at most {NAME_CHARACTERS} characters; this has {len(name)}.")
    agent = request.server.threads.get(params.thread_id)
    if agent is not None:
        agent.journal.emit(ThreadNamed(now_ms(), name))
        await agent.journal.sync()
        thread_id = agent.id
    else:
        path = find(_home(request.server), params.thread_id)
        await anyio.to_thread.run_sync(shelf.rename, path, name, now_ms())
        thread_id = thread_id_of(path)
    request.server.tell_all(note.ThreadNameUpdated(thread_id, name))
    return m.Nothing()


async def archive(request: Request) -> m.Nothing:
    """thread/archive: of a thread that is loaded here and idle, too, which is closed"""
    path = await _closed(request)
    await anyio.to_thread.run_sync(shelf.archive, _home(request.server), path)
    request.server.tell_all(note.ThreadArchived(thread_id_of(path)))
    return m.Nothing()


async def unarchive(request: Request) -> s.ThreadReadResult:
    """thread/unarchive"""
    home = _home(request.server)
    path = find(home, request.params(m.ThreadIdParams).thread_id)
    path = await anyio.to_thread.run_sync(shelf.unarchive, home, path)
    request.server.tell_all(note.ThreadUnarchived(thread_id_of(path)))
    return s.ThreadReadResult(await described(request.server, path))


async def delete(request: Request) -> m.Nothing:
    """thread/delete: for good; not while others go on from its log"""
    home = _home(request.server)
    thread_id = thread_id_of(find(home, request.params(m.ThreadIdParams).thread_id))
    forks = await anyio.to_thread.run_sync(_index(request.server).forks, thread_id)
    if forks:
        raise UsageError(
            f"Thread {thread_id} is the beginning of {len(forks)} other"
            f" thread{'s' if len(forks) > 1 else ''}: {', '.join(forks[:5])}.",
            hint="Delete those first, or archive this one.",
        )
    path = await _closed(request)
    await anyio.to_thread.run_sync(shelf.delete, home, path)
    request.server.tell_all(note.ThreadDeleted(thread_id))
    return m.Nothing()


HANDLERS: dict[str, Handler] = {
    m.THREAD_LIST.name: list_threads,
    s.SEARCH.name: search,
    s.INDEX_REBUILD.name: rebuild,
    s.THREAD_READ.name: read,
    s.TURNS_LIST.name: list_turns,
    s.ITEMS_LIST.name: list_items,
    s.THREAD_SET_NAME.name: set_name,
    s.THREAD_ARCHIVE.name: archive,
    s.THREAD_UNARCHIVE.name: unarchive,
    s.THREAD_DELETE.name: delete,
}


def _home(server: Server) -> Path:
    return octavo_home(server.launch.env)


def _index(server: Server) -> Index:
    if server.index is None:
        server.index = Index(_home(server))
    return server.index


async def _closed(request: Request) -> Path:
    """The log of a thread that nobody here has open any more.

    Raises:
        UsageError: a turn is running in it.
    """
    server = request.server
    path = find(_home(server), request.params(m.ThreadIdParams).thread_id)
    agent = server.threads.get(thread_id_of(path))
    if agent is None:
        return path
    _expect_idle(agent)
    await agent.close()
    while agent.id in server.threads:
        await anyio.lowlevel.checkpoint()
    return path


def _expect_idle(agent: Agent) -> None:
    if agent.turn_id is not None:
        raise UsageError(
            "A turn is running in this thread.", hint="Wait until it ends, or interrupt it."
        )


async def described(server: Server, path: Path) -> it.Thread:
    row = await anyio.to_thread.run_sync(_index(server).thread, thread_id_of(path))
    if row is None:
        check_header(path)
        raise OctavoError(f"{path} does not hold the thread that its name says.")
    return _listed(server, row)


async def ask_history(server: Server, path: Path, ask: Callable[[History], T]) -> T:
    """Read a log, off the loop.

    Raises:
        StoreError: it cannot be read, is not octavo's, or a newer octavo wrote it.
    """
    thread_id = thread_id_of(path)
    agent = server.threads.get(thread_id)
    running = None if agent is None else agent.turn_id

    def work() -> T:
        check_header(path)
        with Tape.open(_home(server), path) as tape:
            is_held = agent is None and writer_of(path) is not None
            return ask(History(thread_id, tape, running, is_held=is_held))

    return await anyio.to_thread.run_sync(work)


def _listed(server: Server, row: Row) -> it.Thread:
    agent = server.threads.get(row.id)
    git = None
    if row.git_commit is not None or row.git_branch is not None:
        git = it.GitInfo(row.git_commit, row.git_branch)
    return it.Thread(
        id=row.id,
        session_id=row.id,
        preview=row.preview,
        ephemeral=False,
        model_provider=row.provider,
        model=row.model or None,
        created_at=row.created_at // 1000,
        updated_at=row.updated_at // 1000,
        recency_at=row.updated_at // 1000,
        status=it.ThreadStatus("notLoaded") if agent is None else status_of(agent),
        path=row.path,
        cwd=row.cwd,
        cli_version=row.version,
        source=source_word(row.source),
        git_info=git,
        name=row.name or None,
        forked_from_id=row.forked_from,
        octavo_turns=row.turns,
        octavo_tokens=row.tokens,
        octavo_archived=row.archived,
    )


def _cwds(cwd: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    return (cwd,) if isinstance(cwd, str) else cwd


def _limit(asked: int | None, default: int) -> int:
    if asked is not None and asked < 0:
        raise UsageError(f"limit is {asked}; it cannot be negative.")
    return min(asked or default, PAGE_LIMIT)


def _cursor(row: Row, sort: SortKey) -> str:
    return f"{row.created_at if sort == 'created_at' else row.updated_at}:{row.id}"


def _place(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    value, colon, thread_id = cursor.partition(":")
    if not colon or not value.isdecimal() or len(value) > _DIGITS:
        raise _bad_cursor(cursor)
    return Place(int(value), thread_id)


def _offset(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isdecimal() or len(cursor) > _DIGITS:
        raise _bad_cursor(cursor)
    return int(cursor)


def _bad_cursor(cursor: str) -> UsageError:
    return UsageError(
        f"{cursor!r} is not a cursor of this list.", hint="Begin again without a cursor."
    )


def _anchor(history: History, params: s.ItemsListParams, start: int, end: int) -> int | None:
    """Where the page begins, not included."""
    if not isinstance(params.cursor, s.ItemAnchor):
        return _offset(params.cursor)
    if params.turn_id is None:
        raise UsageError("An item as cursor needs a turnId.")
    for shown in history.items(start, end):
        if shown.entry.item.id == params.cursor.item_id:
            return shown.at
    raise UsageError(f"There is no item {params.cursor.item_id!r} in this turn.")
