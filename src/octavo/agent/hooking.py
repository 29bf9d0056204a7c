"""The hooks of a thread, as far as it has any: what they stand on, turn by turn.

Light, as every thread has one. A thread without hooks pays some looks at file names a turn; what
runs hooks is imported when there may be one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from octavo.agent.cages import Cages
from octavo.agent.journal import Journal
from octavo.agent.wiring import Equipment, TurnChoices, Wiring
from octavo.config.load import may_have_hooks

if TYPE_CHECKING:
    from octavo.agent.hooks.runner import Hooks, Place
    from octavo.agent.hooks.wraps import TurnHooks


class Hooking:
    """Made once a thread."""

    def __init__(self, thread_id: str, wiring: Wiring, journal: Journal) -> None:
        self._thread_id = thread_id
        self._wiring = wiring
        self._journal = journal
        self._source = "resume" if journal.thread.turns else "startup"
        self._hooks: Hooks | None = None

    def for_turn(
        self, turn_id: str, choices: TurnChoices, equipment: Equipment, cages: Cages
    ) -> TurnHooks | None:
        """Return the hooks of a turn; None where nothing names any."""
        if self._hooks is None:
            if not may_have_hooks(self._wiring.loaded, choices.policy.cwd):
                return None
            from octavo.agent.hooks.runner import Hooks  # most threads have none

            loaded, env = self._wiring.loaded, self._wiring.env
            self._hooks = Hooks(loaded, env, self._journal, cages.open, source=self._source)
        from octavo.agent.hooks.wraps import TurnHooks

        return TurnHooks(self._hooks, self._place(turn_id, choices, equipment))

    async def end(self, choices: TurnChoices, equipment: Equipment | None) -> None:
        """Tell the hooks that the thread is over, if they were told that it began."""
        hooks = self._hooks
        if hooks is None or equipment is None or hooks.source is not None:
            return
        place = self._place(None, choices, equipment)
        await hooks.fire("SessionEnd", place, {"reason": "other"}, about="other")

    def _place(self, turn_id: str | None, choices: TurnChoices, equipment: Equipment) -> Place:
        from octavo.agent.hooks.runner import Place

        loaded = self._wiring.loaded
        return Place(
            thread_id=self._thread_id,
            turn_id=turn_id,
            cwd=choices.policy.cwd,
            home=loaded.home if os.path.isdir(loaded.home) else choices.policy.cwd,
            project=loaded.project_root,
            model=choices.model,
            permission_mode="bypassPermissions" if choices.approval == "never" else "default",
            log_path=self._wiring.log_path,
            policy=choices.policy,
            env=equipment.env,
            writable_roots=equipment.writable_roots,
            redact=equipment.redact,
        )
