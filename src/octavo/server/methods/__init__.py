"""The handlers of the protocol's methods, one file a noun; `TABLE` is all of them."""

from __future__ import annotations

from typing import Any

from octavo.protocol import methods as m
from octavo.server.connection import Handler, Request
from octavo.server.methods import approvals, compaction, settings, skills, threads, turns, usage


def _late(noun: str, name: str) -> Handler:
    """Return a handler that is imported when it is asked for: no thread needs it at its start."""

    async def handle(request: Request) -> Any:
        from importlib import import_module

        return await getattr(import_module(f"{__name__}.{noun}"), name)(request)

    return handle


TABLE: dict[str, Handler] = {
    **threads.HANDLERS,
    **turns.HANDLERS,
    **compaction.HANDLERS,
    **approvals.HANDLERS,
    **usage.HANDLERS,
    **skills.HANDLERS,
    **settings.HANDLERS,
    m.HOOKS_LIST.name: _late("hooks", "list_hooks"),
    m.UNDO.name: _late("undo", "undo"),
    m.REDO.name: _late("undo", "redo"),
    m.UNDO_LIST.name: _late("undo", "turns"),
    m.THREAD_READ.name: _late("reading", "read_thread"),
}
