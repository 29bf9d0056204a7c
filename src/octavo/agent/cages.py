"""The cages of one thread: one for its policy, and wider ones for what a person granted.

A cage is opened when something is first to run under its policy, and stays until the thread ends,
or gives its place up to another thread's (`yard`); equal policies share one. Each is held by a task
of its own, so it does not matter which call needs it first.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from octavo.agent.yard import Place, Yard, YardCage
from octavo.protocol.errors import SandboxError
from octavo.sandbox import Policy, Sandbox, open_sandbox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from octavo.sandbox.caged import Caged
    from octavo.sandbox.keeper import Spare
    from octavo.sandbox.net import OnBlocked


class Cages:
    """Open it around the thread's commands.

    Args:
        spare: a process for the first cage, started beforehand.
        on_blocked: told of every connection that one of the cages kept from happening.
        yard: where those of all threads have their places.
    """

    def __init__(
        self, spare: Spare | None, on_blocked: OnBlocked, yard: Yard | None = None
    ) -> None:
        self._spare = spare
        self._on_blocked = on_blocked
        self._yard = yard or Yard()
        self._open: dict[Policy, YardCage] = {}
        self._has_turn = False
        self._opening = anyio.Lock()
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
        for cage in self._open.values():
            cage.end()
        if group is not None:
            # What happened in the body is not the group's to wrap.
            await group.__aexit__(None, None, None)

    async def open(self, policy: Policy) -> Sandbox:
        """Return the cage of `policy`. Does not wait for it to be ready."""
        known = self._open.get(policy)
        if known is not None:
            return known
        async with self._opening:
            cage = self._open.get(policy)
            if cage is None:
                if self._group is None:
                    raise SandboxError("The thread is closing; nothing is started any more.")
                cage = YardCage(self._yard, policy, lambda place: self._opened(policy, place))
                cage.has_turn = self._has_turn
                await self._group.start(self._hold, cage)
                self._open[policy] = cage
        return cage

    def turn_begins(self) -> None:
        """The thread works: its cages are kept."""
        self._has_turn = True
        for number, cage in enumerate(self._open.values()):
            cage.has_turn = True
            if number == 0:  # the thread's own; wider ones are rarely wanted again
                cage.want()

    def turn_ended(self) -> None:
        """The thread works no more: others may have the places of its cages."""
        self._has_turn = False
        for cage in self._open.values():
            cage.has_turn = False
        self._yard.moved()

    def _opened(self, policy: Policy, place: Place) -> AbstractAsyncContextManager[Caged]:
        spare = self._spare if place.keeper is None else place.keeper
        return open_sandbox(policy, spare=spare, on_blocked=self._on_blocked, warm=place.warm)

    async def _hold(self, cage: YardCage, *, task_status: TaskStatus[None]) -> None:
        with anyio.CancelScope(shield=True):  # the thread's commands are ended before it
            await cage.hold(task_status=task_status)
