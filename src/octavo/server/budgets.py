"""Budgets between the wire and the settings."""

from __future__ import annotations

import msgspec

from octavo.agent.budget import Limit
from octavo.config.settings import TurnBudget
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.usage import NANO_USD, Tally


def thread_flags(budget: m.Budget) -> dict[str, object]:
    """Return the settings that a thread's budget stands for.

    Raises:
        UsageError: it limits the time, which only a turn's does.
    """
    if budget.max_time_s is not None:
        raise UsageError(
            "A thread's budget has no maxTimeS.", hint="Give it with turn/start, for each turn."
        )
    return {
        "budget.thread.max_cost_usd": budget.max_cost_usd,
        "budget.thread.max_tokens": budget.max_tokens,
    }


def read_turn_budget(budget: m.Budget) -> TurnBudget:
    """Return a turn's budget.

    Raises:
        UsageError: a limit is not above 0.
    """
    try:
        return msgspec.convert(msgspec.structs.asdict(budget), TurnBudget)
    except msgspec.ValidationError as error:
        raise UsageError(f"octavoBudget makes no sense: {error}.") from None


def wire_spending(tally: Tally) -> m.Spending:
    """Return what was spent as the wire says it."""
    return m.Spending(
        usage=tally.usage,
        requests=tally.requests,
        cost_usd=tally.cost_usd,
        known_cost_usd=tally.nano_usd / NANO_USD,
        unpriced_requests=tally.unpriced,
        estimated_requests=tally.estimated,
    )


def wire_limit(limit: Limit, max_time_s: float | None = None) -> m.Budget:
    """Return a limit as the wire says it."""
    cost = None if limit.nano_usd is None else limit.nano_usd / NANO_USD
    return m.Budget(cost, limit.tokens, max_time_s)
