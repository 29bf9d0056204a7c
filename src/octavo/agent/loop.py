"""What a turn does: hear the user, ask the model, run its calls, until there is nothing to do.

This file is the whole of it and stays one screen. It only emits events; whatever else should
happen at a step wraps what the loop is given (`step.Setup`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.step import Setup, Step
from octavo.protocol.errors import ModelError, OctavoError
from octavo.protocol.events import TurnEnded, TurnStarted

Outcome = Literal["completed", "interrupted", "failed", "step_limit"]


class Loop:
    """One turn."""

    def __init__(
        self,
        started: TurnStarted,
        setup: Setup,
        journal: Journal,
        clear: Callable[[], Awaitable[None]],
        look_back: Callable[[], None],
    ) -> None:
        self._started = started
        self._id = started.turn_id
        self._setup = setup
        self._journal = journal
        self._clear = clear
        self._look_back = look_back
        self.ending = False
        """What is said from now on is not heard any more."""

    async def run(self) -> None:
        """Answer what is in the inbox. The last event is `TurnEnded`, however this ends."""
        end = self._end("failed", "octavo made a mistake; this is a bug.", "internalServerError")
        self._journal.emit(self._started)
        try:
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
        if not await self._setup.ears.hear(called=False):
            return "completed"
        for _ in range(self._setup.step_limit):
            called = await Step(self._id, self._setup, self._journal).take()
            if not await self._setup.ears.hear(called=called):
                return "completed"
        return "step_limit"

    def _end(
        self, outcome: Outcome, error: str | None = None, info: str | None = None
    ) -> TurnEnded:
        if outcome == "step_limit":
            limit = self._setup.step_limit
            error = f"The turn was stopped after {limit} steps, the limit. Say “go on” to continue."
        return TurnEnded(self._id, now_ms(), outcome, error, info)
