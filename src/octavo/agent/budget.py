"""Budgets: what may still be spent, and by whom, when several spend side by side.

A budget is reserved from before anything is spent, and settled with what it came to. A child's
reservation is one of its parents', too, so however many spend at once, they cannot spend together
what only one of them may. What a provider charges beyond its reservation is counted all the same;
it is the only way past a limit.

Nothing here knows a model, a price or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

import anyio
import msgspec


class Amount(msgspec.Struct, frozen=True):
    """So many tokens, and so much money."""

    tokens: int = 0
    nano_usd: int = 0

    def plus(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.nano_usd + other.nano_usd)

    def minus(self, other: Amount) -> Amount:
        return Amount(self.tokens - other.tokens, self.nano_usd - other.nano_usd)


class Limit(msgspec.Struct, frozen=True):
    """The most of each; None is no limit."""

    tokens: int | None = None
    nano_usd: int | None = None

    def allows(self, amount: Amount) -> bool:
        """Return whether `amount` is within it."""
        return (self.tokens is None or amount.tokens <= self.tokens) and (
            self.nano_usd is None or amount.nano_usd <= self.nano_usd
        )

    def less(self, amount: Amount) -> Limit:
        """Return what is left of it after `amount`; negative where it was overdrawn."""
        return Limit(
            None if self.tokens is None else self.tokens - amount.tokens,
            None if self.nano_usd is None else self.nano_usd - amount.nano_usd,
        )

    def and_(self, other: Limit) -> Limit:
        """Return the stricter of both."""
        return Limit(
            _least(self.tokens, other.tokens),
            _least(self.nano_usd, other.nano_usd),
        )


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


NOTHING = Amount()
NO_LIMIT = Limit()


class OverBudget(Exception):
    """A reservation is more than what is left; nothing was reserved.

    Attributes:
        budget: the one that does not allow it, the nearest if there are several.
    """

    def __init__(self, budget: Budget) -> None:
        super().__init__(f"the budget of the {budget.name} is used up")
        self.budget = budget


class Budget:
    """What may be spent. One task at a time acts on it; a reservation is held across waits.

    Attributes:
        name: whose it is, for people: "turn", "thread".
        limit: of this budget alone.
        spent: what was settled so far, by it and its children.
    """

    def __init__(
        self,
        name: str,
        limit: Limit = NO_LIMIT,
        *,
        parent: Budget | None = None,
        spent: Amount = NOTHING,
    ) -> None:
        self.name = name
        self.limit = limit
        self.spent = spent
        self._parent = parent
        self._root: Budget = self if parent is None else parent._root
        self._held = NOTHING
        self._settled: anyio.Event | None = None
        """Of the root: set when any reservation below it is settled."""

    def child(self, name: str, limit: Limit = NO_LIMIT) -> Budget:
        """Return a budget of its own that also spends from this one."""
        return Budget(name, limit, parent=self)

    def left(self) -> Limit:
        """Return what may be reserved now, from this budget and all it is part of."""
        left = NO_LIMIT
        for budget in self._chain():
            left = left.and_(budget.limit.less(budget.spent.plus(budget._held)))
        return left

    def reserve(self, amount: Amount) -> Reservation:
        """Take `amount` out of what is left until it is settled.

        Raises:
            OverBudget: it is more than is left; nothing was reserved.
        """
        for budget in self._chain():
            if not budget.limit.less(budget.spent.plus(budget._held)).allows(amount):
                raise OverBudget(budget)
        for budget in self._chain():
            budget._held = budget._held.plus(amount)
        return Reservation(self, amount)

    async def claim(self, size: Callable[[Limit], Amount | None]) -> Reservation:
        """Reserve what `size` makes of what is left, as soon as it makes anything.

        Where too little is left but others hold reservations, it waits for what they give back. So
        nobody may wait for a claim while holding a reservation.

        Raises:
            OverBudget: too little is left, and nothing will be given back.
        """
        while True:
            amount = size(self.left())
            if amount is not None:
                return self.reserve(amount)
            if all(budget._held == NOTHING for budget in self._chain()):
                raise OverBudget(self._nearest(size))
            root = self._root
            root._settled = root._settled or anyio.Event()
            await root._settled.wait()

    def _nearest(self, size: Callable[[Limit], Amount | None]) -> Budget:
        """Return the budget by itself that leaves too little."""
        for budget in self._chain():
            if size(budget.limit.less(budget.spent)) is None:
                return budget
        return self

    def _chain(self) -> Iterator[Budget]:
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._parent

    def _settle(self, reserved: Amount, actual: Amount) -> None:
        for budget in self._chain():
            budget._held = budget._held.minus(reserved)
            budget.spent = budget.spent.plus(actual)
        settled, self._root._settled = self._root._settled, None
        if settled is not None:
            settled.set()


class Reservation:
    """What was taken out of a budget for one request. Settle it once, whatever happens."""

    def __init__(self, budget: Budget, amount: Amount) -> None:
        self.amount = amount
        self._budget = budget
        self._open = True

    def settle(self, actual: Amount) -> None:
        """Give back what was reserved and count what was spent; a second time does nothing."""
        if self._open:
            self._open = False
            self._budget._settle(self.amount, actual)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.settle(NOTHING)
