"""A thread's goal: its state, and what a client may ask about it.

Names and shapes are the app-server's v2. Loaded when a thread has a goal, or is asked for one.
"""

# No `annotations` of the future: msgspec would have to evaluate their text when this is loaded.

import msgspec

from octavo.protocol.events import GoalSet, GoalStatus
from octavo.protocol.methods import Method, ThreadIdParams
from octavo.protocol.notifications import ThreadGoal
from octavo.protocol.usage import Usage

OBJECTIVE_LIMIT_CHARS = 4_000


class Goal:
    """The state of a goal after the events so far; see `fold`.

    Attributes:
        tokens_used: uncached input and output of all requests made while it was active, up to the
            end of the turn in which it stopped to be.
        time_used_ms: of turns, by the clock.
        reason: why octavo stopped, if it did.
    """

    def __init__(self, event: GoalSet) -> None:
        self.goal_id = event.goal_id
        self.created_at_ms = event.at_ms
        self.updated_at_ms = event.at_ms
        self.objective = event.objective
        self.status: GoalStatus = event.status
        self.token_budget: int | None = event.token_budget
        self.reason: str | None = None
        self.tokens_used = 0
        self.time_used_ms = 0
        self._since_ms: int | None = None
        """Since when the running turn counts."""

    @property
    def is_over_budget(self) -> bool:
        """Whether the whole budget is used."""
        return self.token_budget is not None and self.tokens_used >= self.token_budget

    def take(self, event: GoalSet, *, in_turn: bool) -> None:
        """Take a change in."""
        self.updated_at_ms = event.at_ms
        self.objective = event.objective
        self.status = event.status
        self.token_budget = event.token_budget
        self.reason = event.reason
        if in_turn and event.status == "active" and self._since_ms is None:
            self._since_ms = event.at_ms

    def turn_started(self, at_ms: int) -> None:
        """A turn began."""
        if self.status == "active":
            self._since_ms = at_ms

    def spent(self, usage: Usage) -> None:
        """A request was paid for."""
        if self._since_ms is not None:
            uncached = max(usage.input_tokens - usage.cached_input_tokens, 0)
            self.tokens_used += uncached + usage.output_tokens

    def turn_ended(self, at_ms: int) -> None:
        """The turn is over."""
        if self._since_ms is not None:
            self.time_used_ms += max(at_ms - self._since_ms, 0)
            self._since_ms = None

    def shown(self, thread_id: str) -> ThreadGoal:
        """Return it as clients see it."""
        return ThreadGoal(
            thread_id=thread_id,
            objective=self.objective,
            status=self.status,
            token_budget=self.token_budget,
            tokens_used=self.tokens_used,
            time_used_seconds=self.time_used_ms // 1000,
            created_at=self.created_at_ms // 1000,
            updated_at=self.updated_at_ms // 1000,
            octavo_reason=self.reason,
        )


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class GoalSetParams(_Wire, frozen=True):
    """Begin a goal, or change the one there is; what is left out stays as it is.

    Another objective is another goal, and so is any once the last one is complete. A budget of
    null is none.
    """

    thread_id: str
    objective: str | None = None
    status: GoalStatus | None = None
    token_budget: int | None | msgspec.UnsetType = msgspec.UNSET


class GoalSetResult(_Wire, frozen=True):
    goal: ThreadGoal


class GoalGetResult(_Wire, frozen=True):
    goal: ThreadGoal | None


class GoalClearResult(_Wire, frozen=True):
    """`cleared`: there was one."""

    cleared: bool


GOAL_SET = Method("thread/goal/set", GoalSetParams, GoalSetResult)
"""An active goal begins a turn at once where none runs, and the next one whenever one ends."""
GOAL_GET = Method("thread/goal/get", ThreadIdParams, GoalGetResult)
"""Of any thread, loaded or not."""
GOAL_CLEAR = Method("thread/goal/clear", ThreadIdParams, GoalClearResult)
"""A turn that runs goes on to its end; it is the last one."""
