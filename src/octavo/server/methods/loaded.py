"""Threads that are loaded, and who follows them."""

from __future__ import annotations

from octavo.protocol import methods as m
from octavo.server.connection import Handler, Request
from octavo.server.pages import page


async def list_loaded(request: Request) -> m.LoadedListResult:
    """thread/loaded/list: in the order they were loaded"""
    params = request.params(m.LoadedListParams)
    return m.LoadedListResult(*page(list(request.server.threads), params.cursor, params.limit))


async def unsubscribe(request: Request) -> m.UnsubscribeResult:
    """thread/unsubscribe: the thread goes on, and `thread/resume` follows it again"""
    params = request.params(m.ThreadIdParams)
    followers = request.server.followers.get(params.thread_id)
    if followers is None:
        return m.UnsubscribeResult("notLoaded")
    left = followers.remove(request.connection)
    return m.UnsubscribeResult("unsubscribed" if left else "notSubscribed")


HANDLERS: dict[str, Handler] = {
    m.LOADED_LIST.name: list_loaded,
    m.UNSUBSCRIBE.name: unsubscribe,
}
