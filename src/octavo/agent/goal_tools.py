"""The tools by which a model sees to its thread's goal. Names and parameters are Codex's.

A model may end a goal, and set a new one once that is over; then a person is asked, as the thread
would go on by itself and cost money on a word that may come from a file it has read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.protocol.events import GoalSet
from octavo.protocol.goals import OBJECTIVE_LIMIT_CHARS, Goal
from octavo.protocol.ids import new_id
from octavo.protocol.questions import Ask, InputQuestion, Option
from octavo.protocol.visible import visible_line
from octavo.tools import Declined, Effect, Hands, Outcome, Run, Tool, ToolFailed
from octavo.tools.schema import obj, one_of, text


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class CreateGoal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    objective: str
    token_budget: int | None = None


class UpdateGoal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: Literal["complete", "blocked", "paused"]


CREATE_SCHEMA = obj(
    {
        "objective": text("What is to be reached, and how one sees that it is."),
        "token_budget": {
            "type": "integer",
            "description": "Only if the user names one: tokens it may take.",
        },
    },
    required=("objective",),
)
UPDATE_SCHEMA = obj(
    {
        "status": one_of(
            "complete",
            "blocked",
            "paused",
            description="complete: all of it is reached, and you have checked. blocked: only the "
            "user can get you further. paused: the user asked you to stop for now.",
        )
    },
    required=("status",),
)


def goal_tools(journal: Journal) -> Sequence[Tool]:
    """Return the tools of the thread of `journal`."""

    async def get(args: Empty, hands: Hands) -> Outcome:
        del args, hands
        return _told(journal.thread.goal, whole=True)

    async def create(args: CreateGoal, hands: Hands) -> Outcome:
        objective = args.objective.strip()
        if not objective or len(objective) > OBJECTIVE_LIMIT_CHARS:
            raise ToolFailed(f"An objective has 1 to {OBJECTIVE_LIMIT_CHARS:,} characters.")
        if args.token_budget is not None and args.token_budget <= 0:
            raise ToolFailed("A token budget is more than 0; leave it out for none.")
        goal = journal.thread.goal
        if goal is not None and goal.status != "complete":
            raise ToolFailed("There is a goal that is not complete; only the user replaces it.")
        await _agreed(objective, hands)
        journal.emit(
            GoalSet(new_id(), now_ms(), objective, token_budget=args.token_budget, by="model")
        )
        return _told(journal.thread.goal)

    async def update(args: UpdateGoal, hands: Hands) -> Outcome:
        del hands
        goal = journal.thread.goal
        if goal is None:
            raise ToolFailed("There is no goal.")
        if goal.status not in ("active", "budgetLimited"):
            raise ToolFailed(f"The goal is {goal.status} already; only the user changes that.")
        journal.emit(changed(goal, status=args.status, by="model", reason=None))
        return _told(journal.thread.goal)

    return (
        _tool("get_goal", "Return the thread's goal, its budget and what is spent.", Empty, get),
        _tool(
            "create_goal",
            "Set a new goal for the thread, which goes on by itself until it is reached. Only when "
            "the user asks for that, and none is active.",
            *(CreateGoal, create, CREATE_SCHEMA),
        ),
        _tool(
            "update_goal",
            "Say that the goal is reached, or that you stop working on it.",
            *(UpdateGoal, update, UPDATE_SCHEMA),
        ),
    )


def changed(goal: Goal, **changes: object) -> GoalSet:
    """Return what is written when something about a goal changes."""
    as_it_is = GoalSet(goal.goal_id, now_ms(), goal.objective, goal.status, goal.token_budget)
    return msgspec.structs.replace(as_it_is, **changes)


async def _agreed(objective: str, hands: Hands) -> None:
    """Raise unless a person wants the thread to go on by itself."""
    question = f"Work on by itself until this is reached? {visible_line(objective)}"
    options = (Option("Yes", "It goes on from turn to turn."), Option("No", "It does not."))
    answer = await hands.ask(InputQuestion((Ask("goal", "Goal", question, options),)))
    if answer.yes and answer.answers.get("goal", ())[:1] == ("Yes",):
        return
    raise Declined(
        "Nobody agreed to this goal, so there is none. Do in this turn what the user asked for, "
        "and say that a goal can be set with thread/goal/set or `octavo exec --goal`."
    )


def _told(goal: Goal | None, *, whole: bool = False) -> Outcome:
    if goal is None:
        return Outcome('{"goal":null}')
    left = None
    if goal.token_budget is not None:
        left = max(goal.token_budget - goal.tokens_used, 0)
    told = {
        **({"objective": goal.objective} if whole else {}),
        "status": goal.status,
        "token_budget": goal.token_budget,
        "tokens_used": goal.tokens_used,
        "tokens_left": left,
        "time_used_seconds": goal.time_used_ms // 1000,
    }
    return Outcome(msgspec.json.encode({"goal": told}).decode())


def _tool(
    name: str,
    description: str,
    params: type[msgspec.Struct],
    run: Run,
    schema: Mapping[str, Any] | None = None,
) -> Tool:
    return Tool(name, description, run, Effect.NONE, params, alone=True, schema=schema)
