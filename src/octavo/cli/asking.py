"""For commands that ask the server as any client would, and need no thread."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from octavo.protocol.errors import OctavoError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client

T = TypeVar("T")


async def ask_server(call: Callable[[Client], Awaitable[T]], **launch: Any) -> T:
    """Return what `call` gets from a server of this process.

    Args:
        launch: how the server is started; see `server.Launch`.

    Raises:
        OctavoError: the server would not do it.
    """
    import anyio

    from octavo import __version__
    from octavo.client import connect
    from octavo.rpc import RpcError
    from octavo.rpc.memory import memory_pair
    from octavo.server.server import Launch, serving

    failure: RpcError | None = None
    how = Launch(env=dict(os.environ), source="cli", **launch)
    async with serving(how) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        async with connect(ours, name="octavo", version=__version__, answer=_nobody) as client:
            try:
                return await call(client)
            except RpcError as error:
                failure = error
    assert failure is not None
    data = failure.data if isinstance(failure.data, dict) else {}
    kind = UsageError if data.get("code") in ("usage", "config") else OctavoError
    raise kind(failure.message)


async def _nobody(method: str, params: bytes) -> object:
    """No thread runs here, so nothing is ever asked."""
    raise AssertionError(f"asked {method}: {params!r}")
