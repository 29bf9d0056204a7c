"""The handlers of the protocol's methods, one file a noun; `TABLE` is all of them."""

from __future__ import annotations

from octavo.protocol import methods as m
from octavo.server.connection import Handler, Request
from octavo.server.methods import approvals, compaction, skills, threads, turns, usage


async def _list_hooks(request: Request) -> m.HooksListResult:
    from octavo.server.methods.hooks import list_hooks  # nothing a thread needs at its start

    return await list_hooks(request)


async def _read_thread(request: Request) -> m.ThreadReadResult:
    from octavo.server.methods.reading import read_thread  # nor this

    return await read_thread(request)


TABLE: dict[str, Handler] = {
    **threads.HANDLERS,
    **turns.HANDLERS,
    **compaction.HANDLERS,
    **approvals.HANDLERS,
    **usage.HANDLERS,
    **skills.HANDLERS,
    m.HOOKS_LIST.name: _list_hooks,
    m.THREAD_READ.name: _read_thread,
}
