"""Asking a server in this process, as any client would: for commands that take no prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from octavo.protocol.errors import OctavoError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.server.server import Launch

T = TypeVar("T")


def ask(launch: Launch, call: Callable[[Client], Awaitable[T]]) -> T:
    """Return what `call` makes of a client of a server that lives as long.

    Raises:
        OctavoError: the server would not; the message is its own.
    """
    import anyio

    return anyio.run(_ask, launch, call)


async def _ask(launch: Launch, call: Callable[[Client], Awaitable[T]]) -> T:
    import anyio

    from octavo import __version__
    from octavo.client import connect
    from octavo.rpc import RpcError
    from octavo.rpc.memory import memory_pair
    from octavo.server.server import serving

    failure: RpcError | None = None
    async with serving(launch) as server, anyio.create_task_group() as group:
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
    """Whoever asks nothing of a model is asked nothing."""
    raise AssertionError(f"asked {method}: {params!r}")
