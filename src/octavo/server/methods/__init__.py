"""The handlers of the protocol's methods, one file a noun; `TABLE` is all of them."""

from __future__ import annotations

from octavo.server.connection import Handler
from octavo.server.methods import (
    approvals,
    compaction,
    late,
    loaded,
    sessions,
    skills,
    threads,
    turns,
    usage,
)

TABLE: dict[str, Handler] = {
    **threads.HANDLERS,
    **turns.HANDLERS,
    **compaction.HANDLERS,
    **approvals.HANDLERS,
    **usage.HANDLERS,
    **skills.HANDLERS,
    **sessions.HANDLERS,
    **late.HANDLERS,
    **loaded.HANDLERS,
}
