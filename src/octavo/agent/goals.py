"""Going after a goal: the thread begins turns by itself until it is reached, or cannot be.

The loop knows nothing of it. A turn that the goal began has other ears (`GoalEars`), which say what
it is for where nobody said anything; any turn has the goal's tools; and when a turn is over,
`Pursuit.goes_on` says whether another one follows. Loaded when a thread has a goal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.goal_tools import changed, goal_tools
from octavo.agent.journal import Journal
from octavo.agent.step import Ears, Setup, Toolbox
from octavo.context.goal import goal_text, turn_message, wrap_up_message
from octavo.model import Call
from octavo.protocol.events import ContextAdded, GoalStatus, Noticed
from octavo.protocol.fold import Spoken, Turn
from octavo.protocol.goals import Goal
from octavo.protocol.ids import new_id
from octavo.tools import Hands, Outcome
from octavo.tools.declare import declarations
from octavo.tools.toolbox import Toolbox as OwnToolbox

IDLE_TURNS_LIMIT = 3
"""So many turns in a row that bring nothing new are the last."""
WRAP_UP_STEPS = 8
"""What a turn may still take when the goal's budget is used up."""
_NO_WORK = frozenset({"get_goal", "create_goal", "update_goal", "update_plan"})
_CHANGING = ("Wall time: ", "Process running with session ID ")
"""Lines of an output that are other ones each time."""


class Pursuit:
    """One thread's. Made once it has a goal; its tools stay when that is gone."""

    def __init__(self, journal: Journal, on_bug: Callable[[Exception], None]) -> None:
        self._journal = journal
        self._on_bug = on_bug
        self._tools = goal_tools(journal)
        self._declared = declarations(self._tools)
        self._goal_id = ""
        self._turns = 0
        self._idle_turns = 0
        self._seen: set[int] = set()

    @property
    def goal(self) -> Goal | None:
        """The thread's goal, whatever its status."""
        return self._journal.thread.goal

    def text(self) -> str:
        """Return what the model is to know of the goal; "" when it is over."""
        goal = self.goal
        return goal_text(goal.objective) if goal is not None and goal.status == "active" else ""

    def with_tools(self, declared: bytes) -> bytes:
        """Return the declarations of all tools, given those of the others."""
        others = declared.rstrip()[:-1]
        return others + (b"," if len(others) > 1 else b"") + self._declared[1:]

    def around(
        self, setup: Setup, turn_id: str, redact: Callable[[str], str], *, began_it: bool
    ) -> Setup:
        """Return what a turn works with, with what belongs to the goal around it.

        Args:
            began_it: nobody else began this turn.
        """
        own = OwnToolbox(self._tools, redact=redact, on_bug=self._on_bug)
        names = frozenset(tool.name for tool in self._tools)
        return msgspec.structs.replace(
            setup,
            toolbox=_GoalToolbox(setup.toolbox, own, names),
            ears=GoalEars(setup.ears, self, self._journal, turn_id, began_it=began_it),
        )

    def opening(self) -> bytes | None:
        """Return what begins a turn of the goal; None if it is over by now."""
        goal = self.goal
        if goal is None or goal.status != "active":
            return None
        self._look_at(goal)
        self._turns += 1
        used_s = goal.time_used_ms // 1000
        used = (self._turns, goal.tokens_used, goal.token_budget, used_s)
        return turn_message(*used, self._idle_turns)

    def goes_on(self, turn: Turn, *, was_work: bool) -> bool:
        """Look back on a turn that has ended; return whether the goal begins another one.

        Where it does not although the goal is not reached, it is written down why, for a person.

        Args:
            was_work: it was there for a model to do something.
        """
        goal = self.goal
        if goal is None or goal.status != "active" or turn.ended is None:
            return False
        self._look_at(goal)
        ended = turn.ended
        match ended.outcome:
            case "interrupted":
                return self._stop("paused", "The goal is paused, as its turn was interrupted.")
            case "failed" if ended.info == "usageLimitExceeded":
                return self._stop("usageLimited", f"The goal waits: {ended.error}")
            case "failed":
                return self._stop("paused", f"The goal is paused, as a turn failed: {ended.error}")
            case "budget":
                return self._stop("budgetLimited", f"The goal was stopped: {ended.error}")
            case _:
                pass
        if goal.is_over_budget:
            return self.stop_at_budget()
        if was_work:
            self._count_idle(turn)
        if self._idle_turns >= IDLE_TURNS_LIMIT:
            return self._stop(
                "blocked",
                f"The goal was stopped: {IDLE_TURNS_LIMIT} turns in a row brought nothing new. Say"
                " what is missing, and set it going again.",
            )
        return True

    def stop_at_budget(self) -> bool:
        """Write down that the budget is used up."""
        goal = self.goal
        assert goal is not None
        return self._stop(
            "budgetLimited",
            f"The goal was stopped: {goal.tokens_used:,} of {goal.token_budget:,} tokens are used."
            " It goes on with a bigger budget.",
        )

    def stop_for_hook(self) -> None:
        """A hook ended the turn: it wants a person to look."""
        if self.goal is not None and self.goal.status == "active":
            self._stop("paused", "The goal is paused, as a hook stopped its turn.")

    def _stop(self, status: GoalStatus, reason: str) -> bool:
        goal = self.goal
        assert goal is not None
        emit_last = self._journal.emit_last
        emit_last(changed(goal, status=status, by="octavo", reason=reason))
        emit_last(Noticed(now_ms(), reason, code="goal.stopped"))
        return False

    def _look_at(self, goal: Goal) -> None:
        """Begin to count anew when it is another goal."""
        if goal.goal_id != self._goal_id:
            self._goal_id, self._turns, self._idle_turns = goal.goal_id, 0, 0
            self._seen.clear()

    def _count_idle(self, turn: Turn) -> None:
        thread = self._journal.thread
        entries = thread.history[turn.first :]
        new = [mark for mark in _work(entries) if mark not in self._seen]
        self._seen.update(new)
        was_spoken_to = len(thread.said) > turn.said_before
        self._idle_turns = 0 if new or was_spoken_to else self._idle_turns + 1


class GoalEars:
    """The ears of a turn in a thread with a goal. Implements `step.Ears`."""

    def __init__(
        self, ears: Ears, pursuit: Pursuit, journal: Journal, turn_id: str, *, began_it: bool
    ) -> None:
        self._ears = ears
        self._pursuit = pursuit
        self._journal = journal
        self._turn_id = turn_id
        self._opens = began_it
        self._steps_left: int | None = None

    async def hear(self, *, called: bool) -> bool:
        """Listen; begin the turn where nobody said anything; see to it that it ends in time."""
        if self._opens:
            self._opens = False
            return await self._open()
        heard = await self._ears.hear(called=called)
        if not heard:
            return False
        if self._steps_left is not None:
            self._steps_left -= 1
            return self._steps_left > 0
        goal = self._pursuit.goal
        if called and goal is not None and goal.status == "active" and goal.is_over_budget:
            assert goal.token_budget is not None
            self._tell("goal_budget", wrap_up_message(goal.tokens_used, goal.token_budget))
            self._pursuit.stop_at_budget()
            self._steps_left = WRAP_UP_STEPS
        return True

    async def _open(self) -> bool:
        """Say what the turn is for; to those within, it is as if the model waited for it."""
        thread = self._journal.thread
        before = thread.heard
        if not await self._ears.hear(called=True):
            return False
        if thread.heard > before:
            return True
        opening = self._pursuit.opening()
        if opening is not None:
            self._tell("goal_turn", opening)
        return opening is not None

    def _tell(self, key: str, raw: bytes) -> None:
        self._journal.emit(ContextAdded(self._turn_id, key, new_id(), msgspec.Raw(raw)))


class _GoalToolbox:
    """A toolbox that has the goal's tools as well. Implements `step.Toolbox`."""

    def __init__(self, others: Toolbox, own: OwnToolbox, names: frozenset[str]) -> None:
        self._others = others
        self._own = own
        self._names = names

    async def run(self, call: Call, hands: Hands) -> Outcome:
        return await self._of(call).run(call, hands)

    def may_run_beside(self, call: Call) -> bool:
        return self._of(call).may_run_beside(call)

    def _of(self, call: Call) -> Toolbox:
        return self._own if call.name in self._names else self._others


class _Item(msgspec.Struct):
    """A model item, as far as it shows work."""

    type: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    input: str = ""
    output: str | list[object] = ""


def _work(entries: Sequence[object]) -> Iterator[int]:
    """Yield a mark for each call with its output; the same work has the same mark."""
    calls: dict[str, tuple[str, str]] = {}
    for entry in entries:
        if not isinstance(entry, Spoken):
            continue
        item = _decode(entry.raw)
        if item.type in ("function_call", "custom_tool_call"):
            if item.name not in _NO_WORK:
                calls[item.call_id] = (item.name, item.arguments or item.input)
        elif item.call_id in calls:
            yield hash((*calls.pop(item.call_id), _lasting(item.output)))


def _lasting(output: str | list[object]) -> str:
    """Return an output without what is another each time the same is done."""
    lines = (output if isinstance(output, str) else repr(output)).splitlines()
    return "\n".join(line for line in lines if not line.startswith(_CHANGING))


def _decode(raw: bytes) -> _Item:
    try:
        return msgspec.json.decode(raw, type=_Item)
    except msgspec.ValidationError:  # a null, or another shape than a call's
        return _Item()
