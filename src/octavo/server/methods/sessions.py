"""Threads that need not be loaded: list, search, read, name, put away. See `server.sessions`.

Only the names are here: what answers them is loaded when it is asked, as a turn needs none of it.
"""

from __future__ import annotations

from typing import Any

from octavo.server.connection import Handler, Request

NAMES = (
    *(f"thread/{verb}" for verb in ("list", "read", "archive", "unarchive", "delete")),
    *("thread/name/set", "thread/turns/list", "thread/items/list"),
    *("octavo/thread/search", "octavo/index/rebuild"),
)


def _late(name: str) -> Handler:
    async def handle(request: Request) -> Any:
        from octavo.server import sessions

        return await sessions.HANDLERS[name](request)

    return handle


HANDLERS: dict[str, Handler] = {name: _late(name) for name in NAMES}
