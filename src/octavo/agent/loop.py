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
from octavo.protocol.errors import BudgetSpent, ModelError, OctavoError
from octavo.protocol.events import TurnEnded, TurnStarted

Outcome = Literal["completed", "interrupted", "failed", "step_limit", "budget"]


class Loop:
    """One turn."""

    def __init__(
        self,
        started: TurnStarted,
        setup: Setup,
        journal: Journal,
        clear: Callable[[], Awaitable[None]],
        look_back: Callable[[], Awaitable[None]],
        *,
        asked_for_room: bool = False,
    ) -> None:
        """`asked_for_room`: make some first; without anything to answer, that is all."""
        self._started = started
        self._id = started.turn_id
        self._setup = setup
        self._journal = journal
        self._clear = clear
        self._look_back = look_back
        self._asked_for_room = asked_for_room
        self.ending = False
        """What is said from now on is not heard any more."""

    async def run(self) -> None:
        """Answer what is in the inbox. The last event is `TurnEnded`, however this ends."""
        end = self._end("failed", "octavo made a mistake; this is a bug.", "internalServerError")
        self._journal.emit(self._started)
        try:
            with anyio.move_on_after(self._setup.time_limit_s) as time:
                end = self._end(await self._steps())
            if time.cancelled_caught:
                end = self._out_of_time()
        except BudgetSpent as failure:
            end = self._end("budget", str(failure), failure.info)
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
                await self._look_back()
                self._journal.emit_last(msgspec.structs.replace(end, at_ms=now_ms()))

    async def _steps(self) -> Outcome:
        heard = await self._setup.ears.hear(called=False)
        if self._asked_for_room:
            await self._setup.make_room("asked")
            heard = await self._setup.ears.hear(called=heard)
        if not heard:
            return "completed"
        for _ in range(self._setup.step_limit):
            await self._setup.make_room("auto")
            called = await self._step()
            if not await self._setup.ears.hear(called=called):
                return "completed"
        return "step_limit"

    async def _step(self) -> bool:
        """Take a step; a thread that the provider finds too long is made shorter first."""
        while True:
            try:
                return await Step(self._id, self._setup, self._journal).take()
            except ModelError as failure:
                if failure.info != "contextWindowExceeded":
                    raise
                if not await self._setup.make_room("refused"):
                    raise

    def _out_of_time(self) -> TurnEnded:
        spent = BudgetSpent(
            f"The turn was ended after {self._setup.time_limit_s:g} s, the time it had. What was"
            " finished is kept.",
            hint="The next turn has a time of its own.",
        )
        return self._end("budget", str(spent), spent.info)

    def _end(
        self, outcome: Outcome, error: str | None = None, info: str | None = None
    ) -> TurnEnded:
        if outcome == "step_limit":
            limit = self._setup.step_limit
            error = f"The turn was stopped after {limit} steps, the limit. Say “go on” to continue."
        return TurnEnded(self._id, now_ms(), outcome, error, info)
