"""How a server of the protocol of 2026 is heard when it has other tools: one has to ask for it.

Older ones say it unasked. What they say comes to the client's message handler either way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from mcp import MCPError

if TYPE_CHECKING:
    from mcp import Client

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
FAILURES = 5
"""After so many in a row a server is not asked again."""


async def follow_changes(client: Client, changed: Callable[[], Awaitable[None]]) -> None:
    """Have the server say when its tools change, for as long as it does that.

    Args:
        changed: called when it may have said so while nobody listened.
    """
    has_tools = client.server_capabilities.tools is not None
    if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not has_tools:
        return
    failures = 0
    pause_s = FIRST_PAUSE_S
    first = True
    while failures < FAILURES:
        try:
            async with client.listen(tools_list_changed=True) as said:
                if not said.honored.tools_list_changed:
                    return
                if not first:
                    await changed()
                first = False
                failures, pause_s = 0, FIRST_PAUSE_S
                async for _ in said:
                    pass  # the message handler has heard it as well
        except (MCPError, RuntimeError):  # it does not know this, or stopped without a word
            failures += 1
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
