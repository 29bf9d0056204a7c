"""Contexts that outlive the turn that needed them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from octavo.agent.keeping import Keeping

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def with_a_task(seen: list[str]) -> AsyncIterator[str]:
    async def run() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            seen.append("task ended")

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        yield "value"
        group.cancel_scope.cancel()
    seen.append("left")


async def test_what_is_entered_in_a_turn_stays_until_the_end() -> None:
    seen: list[str] = []
    async with Keeping() as keeping:
        with anyio.CancelScope() as turn:
            with anyio.CancelScope(shield=True):
                assert await keeping.enter(with_a_task(seen)) == "value"
            turn.cancel()
            await anyio.lowlevel.checkpoint()
        assert seen == []

    assert seen == ["task ended", "left"]


async def test_what_cannot_be_entered_says_so_to_whoever_wanted_it() -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    async with Keeping() as keeping:
        with pytest.raises(ZeroDivisionError):
            await keeping.enter(broken())
