"""What a turn does: hear the user, ask the model, run its calls, until there is nothing to do.

This file is the whole of it and stays one screen. It only emits events; whatever else should
happen at a step wraps what the loop is given (`step.Setup`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import anyio
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.inbox import Inbox
from octavo.agent.journal import Journal
from octavo.agent.step import Setup, Step
from octavo.context.assemble import ContextItem
from octavo.protocol.errors import ModelError, OctavoError
from octavo.protocol.events import ContextAdded, TurnEnded, TurnStarted, UserSpoke
from octavo.protocol.ids import new_id

Outcome = Literal["completed", "interrupted", "failed", "step_limit"]


class Loop:
    """One turn."""

    def __init__(
        self,
        started: TurnStarted,
        setup: Setup,
        journal: Journal,
        inbox: Inbox,
        clear: Callable[[], Awaitable[None]],
        look_back: Callable[[], None],
    ) -> None:
        self._started = started
        self._id = started.turn_id
        self._setup = setup
        self._journal = journal
        self._inbox = inbox
        self._clear = clear
        self._look_back = look_back
        self.ending = False
        """What is said from now on is not heard any more."""

    async def run(self) -> None:
        """Answer what is in the inbox. The last event is `TurnEnded`, however this ends."""
        end = self._end("failed", "octavo made a mistake; this is a bug.", "internalServerError")
        self._journal.emit(self._started)
        try:
            self._hear()
            end = self._end(await self._steps())
        except ModelError as failure:
            end = self._end("failed", str(failure), failure.info)
        except OctavoError as failure:
            end = self._end("failed", str(failure), "other")
        except anyio.get_cancelled_exc_class():
            end = self._end("interrupted")
            raise
        finally:
            self.ending = True
            with anyio.CancelScope(shield=True):
                if end.outcome != "completed":
                    await self._clear()
                self._look_back()
                self._journal.emit_last(msgspec.structs.replace(end, at_ms=now_ms()))

    async def _steps(self) -> Outcome:
        for _ in range(self._setup.step_limit):
            called = await Step(self._id, self._setup, self._journal).take()
            heard = self._hear()
            if not called and not heard:
                return "completed"
        return "step_limit"

    def _hear(self) -> bool:
        """Let news and what the user said become part of the thread; return if the user spoke."""
        self._tell(self._setup.news())
        said = self._inbox.take()
        for one in said:
            raw = msgspec.Raw(one.raw)
            self._journal.emit(UserSpoke(self._id, new_id(), now_ms(), raw, one.client_id))
            self._tell(self._setup.named(one.inputs))
        return bool(said)

    def _tell(self, items: Sequence[ContextItem]) -> None:
        for item in items:
            raw = msgspec.Raw(item.raw)
            self._journal.emit(ContextAdded(self._id, item.key, item.digest, raw))

    def _end(
        self, outcome: Outcome, error: str | None = None, info: str | None = None
    ) -> TurnEnded:
        if outcome == "step_limit":
            limit = self._setup.step_limit
            error = f"The turn was stopped after {limit} steps, the limit. Say “go on” to continue."
        return TurnEnded(self._id, now_ms(), outcome, error, info)
