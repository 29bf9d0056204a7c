"""Files found while their names are typed: once, or in a session that is told what is typed.

A search is made in pieces between which the loop goes on. A query that another one follows is
dropped; one that goes on from the last looks only at what matched that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from heapq import nlargest
from pathlib import Path

import anyio
import anyio.lowlevel

from octavo.protocol import files as f
from octavo.protocol import methods as m
from octavo.protocol.errors import OctavoError
from octavo.protocol.notifications import (
    FuzzyFileSearchResult,
    FuzzySearchCompleted,
    FuzzySearchUpdated,
    Warned,
)
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, RpcError
from octavo.server.connection import Connection, Handler, Request
from octavo.server.listings import Listings
from octavo.server.server import Server
from octavo.workspace.fuzzy import LIMIT, MAX_QUERY, Listing, Search

MAX_ROOTS = 16
SESSIONS = 16
"""Of one client."""


async def search_once(request: Request) -> f.FuzzyFileSearchResponse:
    """fuzzyFileSearch"""
    params = request.params(f.FuzzyFileSearchParams)
    roots = _roots(params.roots)
    _check_query(params.query)
    connection, scope = request.connection, anyio.CancelScope()
    key = ("token", params.cancellation_token or object())
    if before := connection.beside.get(key):
        before.cancel()
    connection.beside[key] = scope
    found: tuple[FuzzyFileSearchResult, ...] = ()
    try:
        with scope:
            listings = _listings(request.server)
            below = [Below(root, await listings.get(Path(root))) for root in roots]
            found = await _search(below, params.query)
    finally:
        if connection.beside.get(key) is scope:
            del connection.beside[key]
    return f.FuzzyFileSearchResponse(found)


async def start(request: Request) -> m.Nothing:
    """fuzzyFileSearch/sessionStart"""
    params = request.params(f.SearchSessionStartParams)
    roots = _roots(params.roots)
    if not params.session_id:
        raise RpcError(INVALID_REQUEST, "sessionId must not be empty")
    connection, key = request.connection, ("search", params.session_id)
    if before := connection.beside.pop(key, None):
        before.cancel()
    if sum(isinstance(one, _Session) for one in connection.beside.values()) >= SESSIONS:
        raise RpcError(INVALID_REQUEST, f"{SESSIONS} searches are open; stop one first")
    session = _Session(connection, params.session_id)
    connection.beside[key] = session
    request.server.group.start_soon(session.run, request.server, roots)
    return m.Nothing()


async def update(request: Request) -> m.Nothing:
    """fuzzyFileSearch/sessionUpdate"""
    params = request.params(f.SearchSessionUpdateParams)
    _check_query(params.query)
    session = request.connection.beside.get(("search", params.session_id))
    if not isinstance(session, _Session):
        said = f"fuzzy file search session not found: {params.session_id[:80]}"
        raise RpcError(INVALID_REQUEST, said)
    session.ask(params.query)
    return m.Nothing()


async def stop(request: Request) -> m.Nothing:
    """fuzzyFileSearch/sessionStop"""
    params = request.params(f.SearchSessionParams)
    session = request.connection.beside.pop(("search", params.session_id), None)
    if session is not None:
        session.cancel()
    return m.Nothing()


class Below:
    """A directory that is searched, and how far."""

    def __init__(self, root: str, listing: Listing) -> None:
        self.root = root
        self.listing = listing
        self.search = Search()


class _Session:
    """A search that goes on with what is typed."""

    def __init__(self, connection: Connection, session_id: str) -> None:
        self._connection = connection
        self._id = session_id
        self._scope = anyio.CancelScope()
        self._query = ""
        self._asked = anyio.Event()
        self._asked.set()

    def cancel(self) -> None:
        self._scope.cancel()

    def ask(self, query: str) -> None:
        self._query = query
        self._asked.set()

    async def run(self, server: Server, roots: Sequence[str]) -> None:
        """List the files, and answer the last query whenever there is one."""
        with self._scope:
            listings = _listings(server)
            try:
                below = [Below(root, await listings.get(Path(root), fresh=True)) for root in roots]
            except (OctavoError, RpcError) as error:
                self._connection.post(Warned(f"Files cannot be searched: {error}"))
                below = []
            while True:
                await self._asked.wait()
                self._asked = anyio.Event()
                query = self._query
                found = await _search(below, query, self._asked)
                if not self._asked.is_set():
                    await self._connection.room()
                    self._connection.post(FuzzySearchUpdated(self._id, query, found))
                    self._connection.post(FuzzySearchCompleted(self._id))


async def _search(
    below: Sequence[Below], query: str, dropped: anyio.Event | None = None
) -> tuple[FuzzyFileSearchResult, ...]:
    """Return the best of all; nothing once `dropped` is set."""
    for one in below:
        for _ in one.listing.search(query, one.search):
            await anyio.lowlevel.checkpoint()
            if dropped is not None and dropped.is_set():
                return ()
    found = [(one.root, each) for one in below for each in one.search.found]
    best = nlargest(LIMIT, found, key=lambda pair: pair[1].score)
    return tuple(
        FuzzyFileSearchResult(
            root,
            each.path,
            "directory" if each.is_directory else "file",
            each.path.rpartition("/")[2],
            each.score,
            each.indices,
        )
        for root, each in best
    )


def _listings(server: Server) -> Listings:
    if server.listings is None:
        server.listings = Listings(server)
    return server.listings


def _roots(roots: Sequence[str]) -> list[str]:
    """Return the roots as they were said, but for two that are the same."""
    if len(roots) > MAX_ROOTS:
        raise RpcError(BAD_PARAMS, f"Invalid params: more than {MAX_ROOTS} - at `$.roots`")
    for number, root in enumerate(roots):
        if not os.path.isabs(root) or "\0" in root:
            why = "not an absolute path"
            raise RpcError(BAD_PARAMS, f"Invalid params: {why} - at `$.roots[{number}]`")
    return list(dict.fromkeys(roots))


def _check_query(query: str) -> None:
    if len(query) > MAX_QUERY:
        why = f"longer than {MAX_QUERY} characters"
        raise RpcError(BAD_PARAMS, f"Invalid params: {why} - at `$.query`")


HANDLERS: dict[str, Handler] = {
    f.FUZZY_SEARCH.name: search_once,
    f.SEARCH_START.name: start,
    f.SEARCH_UPDATE.name: update,
    f.SEARCH_STOP.name: stop,
}
