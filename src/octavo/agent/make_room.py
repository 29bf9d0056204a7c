"""Whether a turn's next request has room, asked before each; what makes some is loaded when needed.

What should happen around a compaction (hooks, say) wraps `Compaction.make_room`, in `_compaction`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from octavo.agent.journal import Journal
from octavo.agent.transcript import Transcript
from octavo.agent.window import Gauge

if TYPE_CHECKING:
    from octavo.agent.compaction import Compaction, Means


class MakeRoom:
    """Implements `step.Setup.make_room` for one turn.

    Args:
        means: makes what a compaction works with.
        wanted: whether a person has asked for room since it was called last.
    """

    def __init__(
        self,
        journal: Journal,
        transcript: Transcript,
        gauge: Gauge,
        means: Callable[[], Means],
        turn_id: str,
        wanted: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._transcript = transcript
        self._gauge = gauge
        self._means = means
        self._turn_id = turn_id
        self._wanted = wanted
        self._made: Compaction | None = None

    async def __call__(self, trigger: Literal["auto", "asked", "refused"]) -> bool:
        """Make what the model is shown smaller where it has to be; return whether it is.

        Raises:
            ModelError: the provider can be asked nothing at all.
            ConfigError: the person's own prompt for summaries cannot be read.
            StoreError: the log cannot be written.
        """
        if self._wanted():
            trigger = "asked"
        if trigger == "auto" and not self._gauge.is_full() and not self._gauge.is_foreign():
            return False
        return await self._compaction().make_room(trigger)

    def _compaction(self) -> Compaction:
        if self._made is None:
            from octavo.agent.compaction import Compaction  # most turns have room

            self._made = Compaction(
                *(self._journal, self._transcript, self._gauge, self._means(), self._turn_id)
            )
        return self._made
