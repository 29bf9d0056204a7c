"""Serving one editor, from its first request to the end of its output."""

from __future__ import annotations

from typing import Any, cast

import anyio
from acp.agent.connection import AgentSideConnection

from octavo.client.lone import unwrapped
from octavo.client.octavo import connected
from octavo.faces.acp.agent import OctavoAgent
from octavo.faces.acp.transport import Lines
from octavo.rpc import Link


async def serve(server: Link, editor: Link) -> None:
    """Serve the editor until it ends its output; what runs then is interrupted.

    Args:
        server: an app-server.
        editor: carries the editor's messages.
    """
    with unwrapped():
        async with anyio.create_task_group() as group:
            agent = OctavoAgent(group)
            async with connected(server, name="octavo_acp", answer=agent.answer) as octavo:
                agent.octavo = octavo
                connection = AgentSideConnection(
                    cast(Any, agent),
                    Lines(editor),
                    listening=False,
                    use_unstable_protocol=True,
                )
                try:
                    await connection.listen()
                finally:
                    with anyio.CancelScope(shield=True):
                        await connection.close()
            group.cancel_scope.cancel()
