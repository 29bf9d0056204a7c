"""What threads cost."""

from __future__ import annotations

from octavo.protocol import methods as m
from octavo.server.budgets import wire_limit, wire_spending
from octavo.server.connection import Handler, Request


async def thread_usage(request: Request) -> m.ThreadUsageResult:
    """octavo/thread/usage"""
    params = request.params(m.ThreadIdParams)
    agent = request.server.agent(params.thread_id)
    thread, purse = agent.journal.thread, agent.purse
    return m.ThreadUsageResult(
        thread_id=agent.id,
        total=wire_spending(thread.spent),
        by_purpose={name: wire_spending(tally) for name, tally in thread.spent_on.items()},
        turn=wire_spending(thread.turns[-1].spent) if thread.turns else None,
        last=thread.last_usage,
        thread_budget=wire_limit(purse.thread.limit),
        turn_budget=wire_limit(purse.turn.limit, purse.turn_time_s),
    )


HANDLERS: dict[str, Handler] = {m.THREAD_USAGE.name: thread_usage}
