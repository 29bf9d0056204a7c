"""Whether a turn's next request has room, asked before each; what makes some is loaded when needed.

Hooks hear of it first, and may say no as long as the provider takes the thread as it is: a thread
that it does not take would be stuck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, Protocol

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.transcript import Transcript
from octavo.agent.window import Window
from octavo.protocol.events import Noticed

if TYPE_CHECKING:
    from octavo.agent.compaction import Compaction, Means


class CompactionHooks(Protocol):
    """What hears of a compaction; see `hooks.wraps.TurnHooks`."""

    async def before_compaction(self, trigger: str) -> str | None: ...

    async def after_compaction(self, trigger: str) -> None: ...


class MakeRoom:
    """Implements `step.Setup.make_room` for one turn.

    Args:
        means: makes what a compaction works with.
        wanted: whether a person has asked for room since it was called last.
        hooks: hear of every compaction.
    """

    def __init__(
        self,
        journal: Journal,
        transcript: Transcript,
        window: Window,
        means: Callable[[], Means],
        turn_id: str,
        wanted: Callable[[], bool],
        hooks: CompactionHooks | None = None,
    ) -> None:
        self._journal = journal
        self._transcript = transcript
        self._window = window
        self._means = means
        self._turn_id = turn_id
        self._wanted = wanted
        self._hooks = hooks
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
        if trigger == "auto" and not self._window.is_full() and not self._window.is_foreign():
            return False
        kind = "manual" if trigger == "asked" else "auto"
        if self._hooks is not None and trigger != "refused":
            refusal = await self._hooks.before_compaction(kind)
            if refusal is not None:
                told = f"A hook kept the thread from being made shorter: {refusal}"
                self._journal.emit(Noticed(now_ms(), told, self._turn_id, "compaction.refused"))
                return False
        made = await self._compaction().make_room(trigger)
        if made and self._hooks is not None:
            await self._hooks.after_compaction(kind)
        return made

    def _compaction(self) -> Compaction:
        if self._made is None:
            from octavo.agent.compaction import Compaction  # most turns have room

            self._made = Compaction(
                *(self._journal, self._transcript, self._window, self._means(), self._turn_id)
            )
        return self._made
