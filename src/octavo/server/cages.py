"""Cages that are kept for a while: for what clients do with files by themselves.

Opening one takes longer than most of what is done in it. Each is held by a task of the server's,
and closed when nobody used it for a minute, or when a new one needs its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup, TaskStatus

from octavo.sandbox import Policy, Sandbox, open_sandbox

IDLE_S = 60.0
AT_MOST = 4
"""Kept without being used."""


class _Held:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.users = 0
        self.touched = anyio.Event()
        self.ending = False

    def touch(self) -> None:
        self.touched.set()

    def end(self) -> None:
        self.ending = True
        self.touch()


class KeptCages:
    """The cages of a server, by policy."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._open: dict[Policy, _Held] = {}
        self._opening = anyio.Lock()

    @asynccontextmanager
    async def use(self, policy: Policy) -> AsyncIterator[Sandbox]:
        """The cage of `policy`; it stays open at least as long as the context.

        Raises:
            ConfigError: the policy makes no sense.
        """
        async with self._opening:
            held = self._open.pop(policy, None)
            if held is None or held.ending:
                held = await self._group.start(self._hold, policy)
            self._open[policy] = held  # last is the one used last
            held.users += 1
            self._make_room()
        try:
            yield held.sandbox
        finally:
            held.users -= 1
            if held.sandbox.failure is not None:
                held.end()
            held.touch()

    def _make_room(self) -> None:
        idle = [held for held in self._open.values() if not held.users]
        for held in idle[:-AT_MOST]:
            held.end()

    async def _hold(self, policy: Policy, *, task_status: TaskStatus[_Held]) -> None:
        async with open_sandbox(policy) as sandbox:
            held = _Held(sandbox)
            task_status.started(held)
            while held.users or not held.ending:
                held.touched = anyio.Event()
                with anyio.move_on_after(IDLE_S) as waiting:
                    await held.touched.wait()
                if waiting.cancelled_caught and not held.users:
                    held.ending = True
            if self._open.get(policy) is held:
                del self._open[policy]
