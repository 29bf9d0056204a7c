"""The one door out of a thread: whatever happens goes through `Journal.emit`.

An event is checked by the fold, written to the log, and told to the followers, in this order; what
a face sees is therefore legal and, the disk permitting, already stored.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio.to_thread

from octavo.protocol.errors import StoreError, Unstorable
from octavo.protocol.events import (
    Delta,
    Event,
    GoalSet,
    ItemBegan,
    Progress,
    ServerTold,
    TurnStarted,
)
from octavo.protocol.fold import Thread

Follower = Callable[[Event], None]
"""Told every event, in order. Must not raise and must not wait."""


class Log(Protocol):
    """Where events are kept; see `store.rollout.Rollout`."""

    def append(self, event: Event) -> None: ...

    def sync(self) -> None: ...


class Journal:
    """The events of one thread as they happen.

    Attributes:
        thread: the state after all of them.
    """

    def __init__(self, thread: Thread, log: Log | None, *, waits_for_turn: bool = False) -> None:
        """`waits_for_turn`: write nothing before the first turn, so idle threads leave no file."""
        self.thread = thread
        self._log = log
        self._waits = waits_for_turn
        self._unwritten: deque[Event] = deque()
        self._followers: list[Follower] = []

    def follow(self, follower: Follower) -> None:
        """Tell `follower` every event from now on."""
        self._followers.append(follower)

    def emit(self, event: Event) -> None:
        """Let `event` happen.

        Raises:
            OutOfOrder: it is not legal now; nothing happened.
            StoreError: it happened but could not be stored yet. It is stored before the next
                event that can be, so the log never has a hole.
            Unstorable: it happened and cannot be stored; nothing after it waits for it.
        """
        self.thread.apply(event)
        try:
            if not isinstance(event, Delta | Progress | ItemBegan | ServerTold):
                self._unwritten.append(event)
                self._waits = self._waits and not isinstance(event, TurnStarted | GoalSet)
                self._write()
        finally:
            for follower in self._followers:
                follower(event)

    async def sync(self) -> None:
        """Wait until what happened so far is on the disk.

        Raises:
            StoreError: the disk did not take it.
        """
        self._write()  # here, where `emit` is: what is written by two is written twice
        if self._log is not None:
            await anyio.to_thread.run_sync(self._log.sync)

    def emit_last(self, event: Event) -> StoreError | None:
        """Let `event` happen, and return rather than raise why it could not be stored."""
        try:
            self.emit(event)
        except StoreError as failure:
            return failure
        return None

    def _write(self) -> None:
        while self._unwritten and not self._waits:
            try:
                if self._log is not None:
                    self._log.append(self._unwritten[0])
            except Unstorable:
                self._unwritten.popleft()
                raise
            self._unwritten.popleft()
