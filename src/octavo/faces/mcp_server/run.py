"""Serving one MCP client over standard input and output."""

from __future__ import annotations

from pathlib import Path

import anyio
from mcp.server.stdio import stdio_server

from octavo.client.lone import unwrapped
from octavo.client.octavo import connected
from octavo.faces.mcp_server.server import OctavoTools
from octavo.rpc import Link


async def serve(link: Link, place: Path) -> None:
    """Serve the client until it ends its output; what runs then is interrupted.

    Args:
        link: to an app-server.
        place: the directory that threads work in.
    """
    with unwrapped():
        async with anyio.create_task_group() as group:
            tools = OctavoTools(group, place)
            async with connected(link, name="octavo_mcp_server", answer=tools.answer) as octavo:
                tools.octavo = octavo
                server = tools.server()
                async with stdio_server() as (into, out):
                    await server.run(into, out, server.create_initialization_options())
            group.cancel_scope.cancel()
