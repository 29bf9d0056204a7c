"""Contexts that stay open until a thread ends, entered from wherever one is needed.

A context with tasks of its own has to be left by the task that entered it, and a turn is over
sooner than what it opened. So each gets a task that does nothing but hold it.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus

T = TypeVar("T")


class Keeping:
    """Enters contexts, and leaves them all when its own ends."""

    def __init__(self) -> None:
        self._group: TaskGroup = anyio.create_task_group()
        self._over = anyio.Event()

    async def __aenter__(self) -> Keeping:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        self._over.set()
        return await self._group.__aexit__(*error)  # type: ignore[arg-type]  # passed on as it came

    async def enter(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enter `context` and return what it gives. Raises what entering it raises."""
        entered: T = await self._group.start(self._hold, context)
        return entered

    async def _hold(
        self, context: AbstractAsyncContextManager[T], *, task_status: TaskStatus[T]
    ) -> None:
        async with context as value:
            task_status.started(value)
            await self._over.wait()
