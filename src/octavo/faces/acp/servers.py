"""MCP servers that an editor passes on, as octavo's settings for one session.

They run like those of the settings: in a cage, their tools asked about. Their names are marked, so
    that none
takes the place of a server of the person's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from acp import schema as acp

PREFIX = "editor_"


def settings_of(servers: Sequence[Any] | None) -> dict[str, Any] | None:
    """Return what goes into `config` of `thread/start`; servers of other kinds are left out."""
    found: dict[str, Any] = {}
    for server in servers or ():
        name = PREFIX + re.sub(r"[^A-Za-z0-9_-]+", "_", server.name)
        match server:
            case acp.McpServerStdio():
                env = {one.name: one.value for one in server.env}
                value = {"command": server.command, "args": server.args, "env": env}
            case acp.HttpMcpServer():
                headers = {one.name: one.value for one in server.headers}
                value = {"url": server.url, "http_headers": headers}
            case _:
                continue
        found[f"mcp_servers.{name}"] = value
    return found or None
