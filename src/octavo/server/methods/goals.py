"""Goals: what a thread is to reach by itself."""

from __future__ import annotations

import anyio.to_thread
import msgspec

from octavo.agent.clock import now_ms
from octavo.config.paths import octavo_home
from octavo.protocol import goals as g
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.events import GoalCleared, GoalSet
from octavo.protocol.ids import new_id
from octavo.server.connection import Handler, Request


async def set_goal(request: Request) -> g.GoalSetResult:
    """thread/goal/set"""
    params = request.params(g.GoalSetParams)
    agent = request.server.agent(params.thread_id)
    event = _wanted(agent.journal.thread.goal, params)
    agent.journal.emit(event)
    await agent.journal.sync()
    agent.goes_on_alone = True
    agent.pursue()
    goal = agent.journal.thread.goal
    assert goal is not None
    return g.GoalSetResult(goal.shown(agent.id))


async def get_goal(request: Request) -> g.GoalGetResult:
    """thread/goal/get"""
    params = request.params(m.ThreadIdParams)
    agent = request.server.threads.get(params.thread_id)
    if agent is not None:
        thread, thread_id = agent.journal.thread, agent.id
    else:
        from octavo.agent.reopen import reopen
        from octavo.store.find import find, thread_id_of
        from octavo.store.forks import read_thread

        home = octavo_home(request.server.launch.env)
        path = find(home, params.thread_id)
        thread, _ = reopen(await anyio.to_thread.run_sync(read_thread, home, path))
        thread_id = thread_id_of(path)
    return g.GoalGetResult(None if thread.goal is None else thread.goal.shown(thread_id))


async def clear_goal(request: Request) -> g.GoalClearResult:
    """thread/goal/clear"""
    params = request.params(m.ThreadIdParams)
    agent = request.server.agent(params.thread_id)
    if agent.journal.thread.goal is None:
        return g.GoalClearResult(False)
    agent.journal.emit(GoalCleared(now_ms()))
    await agent.journal.sync()
    return g.GoalClearResult(True)


HANDLERS: dict[str, Handler] = {
    g.GOAL_SET.name: set_goal,
    g.GOAL_GET.name: get_goal,
    g.GOAL_CLEAR.name: clear_goal,
}


def _wanted(goal: g.Goal | None, params: g.GoalSetParams) -> GoalSet:
    """What is written, given the goal there is.

    Raises:
        UsageError: there is nothing to change, or it cannot be so.
    """
    objective = None if params.objective is None else params.objective.strip()
    budget = params.token_budget
    if objective == "":
        raise UsageError("The goal is empty.", hint="Say what is to be reached.")
    if objective is not None and len(objective) > g.OBJECTIVE_LIMIT_CHARS:
        raise UsageError(
            f"An objective has at most {g.OBJECTIVE_LIMIT_CHARS:,} characters; this has"
            f" {len(objective):,}.",
            hint="Put the details into a file, and name the file.",
        )
    if isinstance(budget, int) and budget <= 0:
        raise UsageError(f"A goal's token budget is more than 0, not {budget}.")
    is_new = goal is None or objective not in (None, goal.objective)
    if goal is None or is_new or (objective is not None and goal.status == "complete"):
        if objective is None:
            raise UsageError("The thread has no goal to change.", hint="Give an `objective`.")
        kept = None if isinstance(budget, msgspec.UnsetType) else budget
        return GoalSet(new_id(), now_ms(), objective, params.status or "active", kept)
    kept = goal.token_budget if isinstance(budget, msgspec.UnsetType) else budget
    raised = isinstance(budget, int) and goal.status == "budgetLimited"
    status = params.status or ("active" if raised else goal.status)
    if status == "active" and kept is not None and goal.tokens_used >= kept:
        raise UsageError(
            f"The goal's budget of {kept:,} tokens is used up ({goal.tokens_used:,} are).",
            hint="Give it a bigger `tokenBudget`, or null for none.",
        )
    return GoalSet(goal.goal_id, now_ms(), goal.objective, status, kept)
