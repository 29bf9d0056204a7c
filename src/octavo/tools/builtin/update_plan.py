"""Keep a list of steps that a person can follow. It has no effect but to be seen."""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.schema import many, obj, one_of, text


class PlanStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step."""

    step: str
    status: Literal["pending", "in_progress", "completed"]


class UpdatePlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    plan: tuple[PlanStep, ...]
    explanation: str | None = None


_STEP = obj(
    {
        "step": text("What is done in it, in a few words."),
        "status": one_of("pending", "in_progress", "completed", description="How far it is."),
    },
    required=("step", "status"),
)
SCHEMA = obj(
    {
        "plan": many(_STEP, "All steps, in order."),
        "explanation": text("Why the plan changed, in a sentence."),
    },
    required=("plan",),
)


async def update_plan(args: UpdatePlan, hands: Hands) -> Outcome:
    """Check the plan; whoever shows it reads it from the call."""
    del hands
    if not args.plan:
        raise ToolFailed("The plan has no steps. Give all of its steps, done ones too.")
    if not all(step.step.strip() for step in args.plan):
        raise ToolFailed("A step of the plan is empty. Say in a few words what is done in it.")
    current = [step.step for step in args.plan if step.status == "in_progress"]
    if len(current) > 1:
        raise ToolFailed(
            f"{len(current)} steps are in_progress ({'; '.join(current)}); at most one can be. "
            "The plan was not changed."
        )
    return Outcome(content="Plan updated")


TOOL = Tool(
    name="update_plan",
    description=(
        "Show the user your plan for a task of several steps, and how far you are. Each call "
        "replaces the whole plan. At most one step is in_progress; mark a step completed as soon "
        "as it is. Leave this out for a task that takes a step or two."
    ),
    params=UpdatePlan,
    run=update_plan,
    effect=Effect.NONE,
    schema=SCHEMA,
)
