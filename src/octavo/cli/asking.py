"""How a command that is not about a thread asks a server, as any client would."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from octavo.protocol.errors import OctavoError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.client import Client
    from octavo.server.server import Launch

T = TypeVar("T")


def ask(call: Callable[[Client], Awaitable[T]], launch: Launch | None = None) -> T:
    """Return what `call` gets from a server in this process.

    Raises:
        UsageError: the server found something wrong with what was asked, or with a setting.
        ConfigError: octavo has no directory.
        OctavoError: it refused, or `call` raised it.
    """
    import anyio

    from octavo.config.paths import octavo_home

    octavo_home(os.environ if launch is None else launch.env)  # said here, and not by a handshake
    return anyio.run(_ask, call, launch)


async def _ask(call: Callable[[Client], Awaitable[T]], launch: Launch | None) -> T:
    import anyio

    from octavo import __version__
    from octavo.client import connect
    from octavo.rpc import RpcError
    from octavo.rpc.memory import memory_pair
    from octavo.server.server import Launch, serving

    failure: RpcError | OctavoError | None = None
    launch = launch or Launch(env=dict(os.environ), source="cli")
    async with serving(launch) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        async with connect(ours, name="octavo", version=__version__, answer=_nobody) as client:
            try:
                return await call(client)
            except (RpcError, OctavoError) as error:
                failure = error  # raised below: a task group would wrap it
    assert failure is not None
    if isinstance(failure, OctavoError):
        raise failure
    data = failure.data if isinstance(failure.data, dict) else {}
    kind = UsageError if data.get("code") in ("usage", "config", "config.write") else OctavoError
    raise kind(failure.message)


async def _nobody(method: str, params: bytes) -> object:
    """No thread runs here, so nothing is ever asked."""
    raise AssertionError(f"asked {method}: {params!r}")
