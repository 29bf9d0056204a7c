"""Models, the account, permission profiles. See `server.settings`.

Only the names are here: what answers them is loaded when it is asked, as no thread needs it.
"""

from __future__ import annotations

from typing import Any

from octavo.server.connection import Handler, Request

NAMES = (
    "model/list",
    "account/read",
    "account/login/start",
    "account/login/cancel",
    "account/logout",
    "permissionProfile/list",
)


def _late(name: str) -> Handler:
    async def handle(request: Request) -> Any:
        from octavo.server import settings

        return await settings.HANDLERS[name](request)

    return handle


HANDLERS: dict[str, Handler] = {name: _late(name) for name in NAMES}
