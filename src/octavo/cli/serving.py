"""Serving one program over standard input and output, until it or a signal ends it."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable

import anyio

from octavo.client.lone import unwrapped
from octavo.rpc import Link
from octavo.server.here import here
from octavo.server.server import Launch

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve_until_signal(launch: Launch, serve: Callable[[Link], Awaitable[None]]) -> None:
    """Have `serve` translate for a server in this process; every thread is closed afterwards.

    Args:
        serve: is given the link to the server, and returns when its program is gone. It is
            cancelled at the first signal; a second one does what signals do by themselves.
    """
    with unwrapped():
        async with here(launch) as link, anyio.create_task_group() as group:
            group.start_soon(_heed_signal, group.cancel_scope)
            await serve(link)
            group.cancel_scope.cancel()


async def _heed_signal(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for _ in signals:
            break
    scope.cancel()
