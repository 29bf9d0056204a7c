"""The cages of one thread: one for its policy, and wider ones for what a person granted.

A cage is opened when something is first to run under its policy, and stays until the thread ends;
equal policies share one. Each is held by a task of its own, so it does not matter which call needs
it first.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Policy, Sandbox, open_sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.sandbox.keeper import Spare
    from octavo.sandbox.net import OnBlocked


class Cages:
    """Open it around the thread's commands.

    Args:
        spare: a process for the first cage, started beforehand.
        on_blocked: told of every connection that one of the cages kept from happening.
    """

    def __init__(self, spare: Spare | None, on_blocked: OnBlocked) -> None:
        self._spare = spare
        self._on_blocked = on_blocked
        self._open: dict[Policy, Sandbox] = {}
        self._opening = anyio.Lock()
        self._closing = anyio.Event()
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        group, self._group = self._group, None
        self._closing.set()
        if group is not None:
            # What happened in the body is not the group's to wrap.
            await group.__aexit__(None, None, None)

    async def open(self, policy: Policy) -> Sandbox:
        """Return the cage of `policy`. Does not wait for it to be ready."""
        async with self._opening:
            sandbox = self._open.get(policy)
            if sandbox is None:
                if self._group is None:
                    raise SandboxError("The thread is closing; nothing is started any more.")
                sandbox = self._open[policy] = await self._group.start(self._hold, policy)
        return sandbox

    async def _hold(self, policy: Policy, *, task_status: TaskStatus[Sandbox]) -> None:
        opened = open_sandbox(policy, spare=self._spare, on_blocked=self._on_blocked)
        async with opened as sandbox:
            task_status.started(sandbox)
            with anyio.CancelScope(shield=True):  # the thread's commands are ended before it
                await self._closing.wait()
