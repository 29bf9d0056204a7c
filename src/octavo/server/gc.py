"""`octavo/gc`: what could be let go, and letting it go."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from octavo.agent.gc import collect
from octavo.config.paths import octavo_home
from octavo.protocol import gc as g
from octavo.server.connection import Handler, Request
from octavo.server.settings import load_for


async def gc(request: Request) -> g.GcResult:
    """octavo/gc"""
    params = request.params(g.GcParams)
    asked = {
        "max_age_days": params.max_age_days,
        "snapshots_bytes": params.snapshots_bytes,
        "outputs_bytes": params.outputs_bytes,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    limits = msgspec.structs.replace(load_for(request.server).settings.gc, **given)
    home: Path = octavo_home(request.server.launch.env)
    return await anyio.to_thread.run_sync(partial(collect, home, limits, apply=params.apply))


HANDLERS: dict[str, Handler] = {g.GC.name: gc}
