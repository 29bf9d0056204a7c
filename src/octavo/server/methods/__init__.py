"""The handlers of the protocol's methods, one file a noun; `TABLE` is all of them."""

from __future__ import annotations

from octavo.protocol import methods as m
from octavo.server.connection import Handler, Request
from octavo.server.methods import approvals, compaction, sessions, skills, threads, turns, usage


async def _list_hooks(request: Request) -> m.HooksListResult:
    from octavo.server.methods.hooks import list_hooks  # nothing a thread needs at its start

    return await list_hooks(request)


TABLE: dict[str, Handler] = {
    **threads.HANDLERS,
    **turns.HANDLERS,
    **compaction.HANDLERS,
    **approvals.HANDLERS,
    **usage.HANDLERS,
    **skills.HANDLERS,
    **sessions.HANDLERS,
    m.HOOKS_LIST.name: _list_hooks,
}
