"""The cages of all threads of one program: how many there are at a time, and whose turn it is.

A cage costs some ten megabytes and a moment of the processor to build. A few threads have their own
from their start to their end and notice nothing of this file. Where there are many, a thread that
wants a cage gets the place of one whose thread has no turn; where there is none, it waits as long
as others make room, and not longer: this saves memory and stops nobody.

A cage that gave its place up is built again when its thread needs it, with the same walls. That is
not done to one in which something runs, or which has a /tmp of its own, which would be lost.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
from anyio.abc import TaskStatus

from octavo.protocol.errors import OctavoError, SandboxError
from octavo.sandbox import Command, FileChange, FileState, Policy, Process, Report
from octavo.sandbox.policy import private_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.sandbox.caged import Caged
    from octavo.sandbox.keeper import Spare
    from octavo.sandbox.nursery import Nursery

LEAST_PLACES = 8
PLACES_EACH_CORE = 4
PATIENCE_S = 3.0
"""How long one waits for a place while nobody gives one up."""
UNUSED_S = 30.0
"""After so long a cage gives up its place also in the middle of a turn."""
FORGOTTEN_S = 300.0
"""After so long a cage without a turn is closed, wanted or not."""
_FEW = 2
"""Up to so many cages, each has a keeper and the usual number of processes ready of its own."""
_OVERLAP = 1
"""So many more may be there while others are being closed."""
_CLOSING = "The thread is closing; nothing is started any more."


class Place(NamedTuple):
    """What a cage is opened with.

    Attributes:
        warm: how many processes are kept ready; None: the usual number.
        keeper: one that is cheaper than a new one.
    """

    warm: int | None = None
    keeper: Spare | None = None


if TYPE_CHECKING:
    Open = Callable[[Place], AbstractAsyncContextManager[Caged]]
    """Opens the cage itself."""


class Yard:
    """Gives out the places. One a program.

    Attributes:
        nursery: where keepers come from; None as long as there were few cages.
    """

    def __init__(self, places: int | None = None, *, patience_s: float = PATIENCE_S) -> None:
        cores = os.cpu_count() or 1
        self._patience_s = patience_s
        self._places = places or max(LEAST_PLACES, PLACES_EACH_CORE * cores)
        self._open: dict[YardCage, None] = {}
        """Those that have a place, the one that was not used for longest first."""
        self._leaving: set[YardCage] = set()
        self._queue = anyio.Lock(fast_acquire=True)
        self._moved: anyio.Event | None = None
        self._moved_at = 0.0
        self.nursery: Nursery | None = None

    @property
    def count(self) -> int:
        """How many cages there are, without those that are being closed."""
        return len(self._open) - len(self._leaving)

    @property
    def _is_full(self) -> bool:
        most = self._places + _OVERLAP
        return self.count >= self._places or len(self._open) >= most

    @property
    def has_place(self) -> bool:
        """Whether one could be had without waiting, and without taking it from another."""
        return len(self._open) < self._places and not self._queue.locked()

    @asynccontextmanager
    async def place(self, cage: YardCage) -> AsyncIterator[Place]:
        """Have a place, as soon as there is one."""
        arrived_at = anyio.current_time()
        async with self._queue:
            while not cage.is_ended and self._is_full:
                if self.count >= self._places and self._send_away():
                    continue
                left_s = max(arrived_at, self._moved_at) + self._patience_s - anyio.current_time()
                if left_s <= 0:
                    break
                if self._moved is None:
                    self._moved = anyio.Event()
                with anyio.move_on_after(left_s):
                    await self._moved.wait()
            if cage.is_ended:
                raise SandboxError(_CLOSING)
            self._open[cage] = None
        try:
            is_one_of_many = len(self._open) > _FEW
            yield Place(1, await self._keeper()) if is_one_of_many else Place()
        finally:
            del self._open[cage]
            self._leaving.discard(cage)
            self.moved()

    async def close(self) -> None:
        """End what it started. All cages have been closed."""
        if self.nursery is not None:
            await self.nursery.close()

    async def _keeper(self) -> Spare | None:
        """Return a keeper that is cheaper than a new one; None where there is none."""
        from octavo.sandbox.keeper import Spare
        from octavo.sandbox.nursery import Nursery

        try:
            if self.nursery is None:
                self.nursery = Nursery()
            return Spare(await self.nursery.keeper())
        except SandboxError:  # a new one says what is wrong, if something is
            return None

    def used(self, cage: YardCage) -> None:
        """Note that a cage is of use."""
        if cage in self._open:
            del self._open[cage]
            self._open[cage] = None

    def moved(self) -> None:
        """Note that somebody may have a place to give up."""
        self._moved_at = anyio.current_time()
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def _send_away(self) -> bool:
        """Have one cage give up its place; False when none can."""
        for cage in self._open:
            if cage not in self._leaving and cage.may_rest:
                self._leaving.add(cage)
                cage.rest()
                return True
        return False


class YardCage:
    """A cage that is there when it is needed. Implements `sandbox.Sandbox`.

    Attributes:
        has_turn: its thread works; it is told by that.
        is_ended: it will not be opened again.
    """

    def __init__(self, yard: Yard, policy: Policy, open_cage: Open) -> None:
        self.has_turn = False
        self.is_ended = False
        self._yard = yard
        self._open_cage = open_cage
        self._keeps_files = bool(private_directories(policy))
        self._cage: Caged | None = None
        self._report: Report | None = None
        self._failure: SandboxError | None = None
        self._trouble: OctavoError | None = None
        self._hosts: list[str] = []
        self._users = 0
        self._used_at = anyio.current_time()
        self._wanted = anyio.Event()
        self._leave = anyio.Event()
        self._changed = anyio.Event()

    async def hold(self, *, task_status: TaskStatus[None]) -> None:
        """Open it whenever it is wanted, until `end`. Its first time is now, if there is a place.

        Raises:
            OctavoError: it cannot be opened now. What goes wrong later is told to who wants it.
        """
        if self._yard.has_place:
            self._wanted.set()
            await self._open(task_status.started)
        else:
            task_status.started()
        while not self.is_ended:
            await self._wanted.wait()
            try:
                await self._open()
            except OctavoError as trouble:
                self._wanted = anyio.Event()
                self._trouble = trouble
            self._tell()

    async def _open(self, opened: Callable[[], None] = lambda: None) -> None:
        """Be open until it shall close."""
        if self.is_ended:
            return
        async with self._yard.place(self) as place, self._open_cage(place) as cage:
            opened()
            await self._have(cage)

    async def _have(self, cage: Caged) -> None:
        """Let it be used until it shall close."""
        self._leave, self._wanted = anyio.Event(), anyio.Event()
        if self._hosts:
            cage.allow_hosts(*self._hosts)
        self._cage = cage
        self._tell()
        leave = self._leave
        while not self.is_ended and not leave.is_set():
            with anyio.move_on_after(FORGOTTEN_S):
                await leave.wait()
            unused_s = anyio.current_time() - self._used_at
            if self.may_rest and not self.has_turn and unused_s >= FORGOTTEN_S:
                self.rest()
        self._forget()

    def want(self) -> None:
        """Have it opened; something will be started in it soon."""
        if self._cage is None:
            self._wanted.set()

    def end(self) -> None:
        """Close it for good."""
        self.is_ended = True
        self._wanted.set()
        self._leave.set()
        self._tell()
        self._yard.moved()

    @property
    def may_rest(self) -> bool:
        """Whether it could be closed now, with nothing lost."""
        if self._cage is None or self._users or self._cage.is_busy or self._keeps_files:
            return False
        return not self.has_turn or anyio.current_time() - self._used_at >= UNUSED_S

    def rest(self) -> None:
        """Close it until it is wanted again."""
        self._leave.set()
        self._forget()

    def _forget(self) -> None:
        if self._cage is not None:
            self._report, self._failure = self._cage.report, self._cage.failure
            self._cage = None

    @property
    def report(self) -> Report | None:
        return self._report if self._cage is None else self._cage.report

    @property
    def failure(self) -> SandboxError | None:
        return self._failure if self._cage is None else self._cage.failure

    async def ready(self) -> Report:
        async with self._using() as cage:
            return await cage.ready()

    async def spawn(self, command: Command) -> Process:
        async with self._using() as cage:
            return await cage.spawn(command)

    def allow_hosts(self, *patterns: str) -> None:
        if self._cage is not None:
            self._cage.allow_hosts(*patterns)
        self._hosts += patterns

    async def look(self, paths: Sequence[Path], *, limit_bytes: int = 64 << 20) -> list[FileState]:
        async with self._using() as cage:
            return await cage.look(paths, limit_bytes=limit_bytes)

    async def change(self, changes: Sequence[FileChange]) -> None:
        async with self._using() as cage:
            await cage.change(changes)

    async def tree(self, request: tuple[int, tuple[object, ...]]) -> tuple[bytes, list[int], bool]:
        async with self._using() as cage:
            return await cage.tree(request)

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[Caged]:
        """The cage itself, which stays while it is used."""
        self._users += 1
        try:
            while self._cage is None:
                if self.is_ended:
                    raise SandboxError(_CLOSING)
                if self._trouble is not None:
                    trouble, self._trouble = self._trouble, None
                    raise trouble
                self._wanted.set()
                await self._changed.wait()
            self._yard.used(self)
            yield self._cage
        finally:
            self._users -= 1
            self._used_at = anyio.current_time()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
