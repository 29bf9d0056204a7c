"""The handlers of the protocol's methods, one file a noun; `TABLE` is all of them."""

from __future__ import annotations

from octavo.server.connection import Handler
from octavo.server.methods import (
    late,
    sessions,
    skills,
    threads,
    turns,
)

TABLE: dict[str, Handler] = {
    **threads.HANDLERS,
    **turns.HANDLERS,
    **skills.HANDLERS,
    **sessions.HANDLERS,
    **late.HANDLERS,
}
