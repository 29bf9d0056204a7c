"""Processes that octavo knows nothing of: commands with no wall around them, and a bystander."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from octavo.trial.attack.scene import Scene
from octavo.trial.attack.world import World


async def run_bare(script: str, scene: Scene) -> None:
    """Do what a model would do, with nothing around it."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script,
        cwd=scene.workspace,
        env=dict(scene.world.env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    said, _ = await process.communicate()
    scene.outputs.append(said.decode("utf-8", "replace"))


@asynccontextmanager
async def bystander(world: World) -> AsyncIterator[int]:
    """A process of the user's that has nothing to do with octavo, and a secret."""
    process = await asyncio.create_subprocess_exec(
        "sleep", "86400",
        env={"PATH": os.defpath, "BYSTANDER": world.secret},
        stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
