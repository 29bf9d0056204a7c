"""Methods that no thread needs at its start: hooks, undo, pins, models, the account, commands.

Only the names are here: what answers them is loaded when it is asked, as no thread needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from octavo.server.connection import Handler, Request

NAMES = {
    "octavo.server.settings": (
        "model/list",
        "account/read",
        "account/login/start",
        "account/login/cancel",
        "account/logout",
        "permissionProfile/list",
    ),
    "octavo.server.config": (
        "config/read",
        "config/value/write",
        "config/batchWrite",
        "configRequirements/read",
    ),
    "octavo.server.files": (
        "fs/readFile",
        "fs/writeFile",
        "fs/createDirectory",
        "fs/getMetadata",
        "fs/readDirectory",
        "fs/remove",
        "fs/copy",
        "fs/watch",
        "fs/unwatch",
    ),
    "octavo.server.search": (
        "fuzzyFileSearch",
        "fuzzyFileSearch/sessionStart",
        "fuzzyFileSearch/sessionUpdate",
        "fuzzyFileSearch/sessionStop",
    ),
    "octavo.server.methods.hooks": ("hooks/list",),
    "octavo.server.methods.history": (
        "thread/shellCommand",
        "thread/inject_items",
        "thread/revert",
    ),
    "octavo.server.methods.providers": ("modelProvider/list",),
    "octavo.server.methods.goals": ("thread/goal/set", "thread/goal/get", "thread/goal/clear"),
    "octavo.server.mcp": (
        "mcpServerStatus/list",
        "mcpServer/resource/read",
        "mcpServer/tool/call",
        "octavo/mcp/prompts/list",
        "octavo/mcp/prompts/get",
        "octavo/mcp/changes",
        "octavo/mcp/accept",
    ),
    "octavo.server.mcp_login": ("mcpServer/oauth/login", "octavo/mcp/logout"),
    "octavo.server.methods.undo": (
        "octavo/thread/undo",
        "octavo/thread/redo",
        "octavo/thread/turns",
    ),
    "octavo.server.gc": ("octavo/gc",),
    "octavo.server.methods.approvals": ("octavo/approvals/list", "octavo/approvals/revoke"),
    "octavo.server.methods.compaction": (
        "thread/compact/start",
        "octavo/thread/compact/undo",
        "octavo/thread/pin",
        "octavo/thread/unpin",
        "octavo/thread/pins",
    ),
    "octavo.server.methods.loaded": ("thread/loaded/list", "thread/unsubscribe"),
    "octavo.server.methods.usage": ("octavo/thread/usage",),
    "octavo.server.commands": (
        "command/exec",
        "command/exec/write",
        "command/exec/resize",
        "command/exec/terminate",
    ),
}


def _late(module: str, name: str) -> Handler:
    async def handle(request: Request) -> Any:
        return await import_module(module).HANDLERS[name](request)

    return handle


HANDLERS: dict[str, Handler] = {
    name: _late(module, name) for module, names in NAMES.items() for name in names
}
