"""Serving one MCP client, from its first request to the end of its output."""

from __future__ import annotations

from pathlib import Path

import anyio

from octavo.client.lone import unwrapped
from octavo.client.octavo import connected
from octavo.faces.mcp_server.server import OctavoTools
from octavo.faces.mcp_server.transport import streams_over
from octavo.rpc import Link


async def serve(link: Link, client: Link, place: Path) -> None:
    """Serve the client until it ends its output; what runs then is interrupted.

    Args:
        link: to an app-server.
        client: carries the client's messages.
        place: the directory that threads work in.
    """
    with unwrapped():
        async with anyio.create_task_group() as group:
            tools = OctavoTools(group, place)
            async with connected(link, name="octavo_mcp_server", answer=tools.answer) as octavo:
                tools.octavo = octavo
                server = tools.server()
                async with streams_over(client) as (into, out):
                    await server.run(into, out, server.create_initialization_options())
            group.cancel_scope.cancel()
