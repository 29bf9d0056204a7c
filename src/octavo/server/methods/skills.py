"""Skills: list, read, check, make, add, remove and accept them. See `server.skills`.

Only the names are here: what answers them is loaded when it is asked, as no thread needs it.
"""

from __future__ import annotations

from typing import Any

from octavo.server.connection import Handler, Request

NAMES = (
    "skills/list",
    *(
        f"octavo/skills/{verb}"
        for verb in ("list", "read", "check", "create", "add", "remove", "change", "accept")
    ),
)


def _late(name: str) -> Handler:
    async def handle(request: Request) -> Any:
        from octavo.server import skills

        return await skills.HANDLERS[name](request)

    return handle


HANDLERS: dict[str, Handler] = {name: _late(name) for name in NAMES}
