"""A server in this process, for a face or a program that wants no other one.

async with here(Launch(env=os.environ)) as link, connected(link) as octavo:
    ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from octavo.client.lone import unwrapped
from octavo.rpc import Link
from octavo.rpc.memory import memory_pair
from octavo.server.server import Launch, serving


@asynccontextmanager
async def here(launch: Launch) -> AsyncIterator[Link]:
    """Serve one client over memory; leaving the context closes every thread."""
    with unwrapped():
        async with serving(launch) as server, anyio.create_task_group() as group:
            ours, theirs = memory_pair()
            group.start_soon(server.connect, theirs)
            try:
                yield ours
            finally:
                ours.close()
