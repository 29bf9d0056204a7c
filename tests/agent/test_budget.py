"""Budgets: whoever spends side by side, and whatever they are charged, a limit holds."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.budget import Amount, Budget, Limit, OverBudget, Reservation

AMOUNTS = st.builds(Amount, st.integers(0, 60), st.integers(0, 60))
SOME = st.none() | st.integers(0, 100)
LIMITS = st.builds(Limit, SOME, SOME)
STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle"]), st.integers(0, 3), AMOUNTS), max_size=40
)


def tree(limits: list[Limit]) -> list[Budget]:
    """A thread, its turn, and two children of the turn."""
    thread = Budget("thread", limits[0])
    turn = thread.child("turn", limits[1])
    return [thread, turn, turn.child("one", limits[2]), turn.child("two", limits[3])]


def overdrawn(limit: Limit, amount: Amount) -> Amount:
    over = limit.less(amount)
    return Amount(-min(0, over.tokens or 0), -min(0, over.nano_usd or 0))


@given(st.lists(LIMITS, min_size=4, max_size=4), STEPS)
def test_no_limit_is_passed_by_more_than_was_charged_beyond_reservations(
    limits: list[Limit], steps: list[tuple[str, int, Amount]]
) -> None:
    budgets = tree(limits)
    parents = {0: (0,), 1: (0, 1), 2: (0, 1, 2), 3: (0, 1, 3)}
    held: list[tuple[int, Reservation]] = []
    beyond = [Amount()] * 4
    for kind, number, amount in steps:
        before = [budget.left() for budget in budgets]
        if kind == "reserve":
            try:
                held.append((number, budgets[number].reserve(amount)))
            except OverBudget:
                assert not before[number].allows(amount)
                assert [budget.left() for budget in budgets] == before
            else:
                assert before[number].allows(amount)
        elif held:
            who, reservation = held.pop(number % len(held))
            reserved = reservation.amount
            reservation.settle(amount)
            reservation.settle(Amount(1000, 1000))  # a second time it does nothing
            more = amount.minus(reserved)
            for part in parents[who]:
                beyond[part] = beyond[part].plus(Amount(max(0, more.tokens), max(0, more.nano_usd)))
        for budget, limit, allowed in zip(budgets, limits, beyond, strict=True):
            reserved_too = [r.amount for w, r in held if budgets.index(budget) in parents[w]]
            used = budget.spent
            for one in reserved_too:
                used = used.plus(one)
            over = overdrawn(limit, used)
            assert over.tokens <= allowed.tokens
            assert over.nano_usd <= allowed.nano_usd


@given(st.lists(AMOUNTS, max_size=12))
def test_what_children_spend_their_parents_have_spent(amounts: list[Amount]) -> None:
    thread, turn, one, two = tree([Limit()] * 4)
    for n, amount in enumerate(amounts):
        (one if n % 2 else two).reserve(Amount()).settle(amount)

    total = Amount(sum(a.tokens for a in amounts), sum(a.nano_usd for a in amounts))
    assert thread.spent == turn.spent == one.spent.plus(two.spent) == total


def fixed(tokens: int) -> Callable[[Limit], Amount | None]:
    def size(left: Limit) -> Amount | None:
        return Amount(tokens) if left.allows(Amount(tokens)) else None

    return size


@pytest.mark.anyio
async def test_children_side_by_side_share_what_is_left_and_the_last_are_refused() -> None:
    turn = Budget("turn", Limit(tokens=100))
    held: list[Reservation] = []
    most, done = 0, 0
    refused: list[Budget] = []

    async def spend(name: str) -> None:
        nonlocal most, done
        try:
            reservation = await turn.child(name).claim(fixed(40))
        except OverBudget as over:
            refused.append(over.budget)
            return
        held.append(reservation)
        most = max(most, turn.spent.tokens + sum(one.amount.tokens for one in held))
        await anyio.lowlevel.checkpoint()
        held.remove(reservation)
        reservation.settle(Amount(15))
        done += 1

    async with anyio.create_task_group() as group:
        for n in range(9):
            group.start_soon(spend, str(n))

    # 40 is left for a claim until 75 are spent: five claims of which each came to 15.
    assert (done, turn.spent) == (5, Amount(75))
    assert refused == [turn] * 4
    assert 80 <= most <= 100


@pytest.mark.anyio
async def test_a_claim_that_is_given_up_leaves_nothing() -> None:
    turn = Budget("turn", Limit(tokens=50))
    held = turn.reserve(Amount(40))
    with anyio.move_on_after(0.01):
        await turn.claim(fixed(20))
    held.settle(Amount(10))

    assert turn.left() == Limit(tokens=40)


def test_a_reservation_is_given_back_when_its_block_ends_unsettled() -> None:
    turn = Budget("turn", Limit(tokens=50))
    with turn.reserve(Amount(50)):
        assert turn.left() == Limit(tokens=0)

    assert turn.left() == Limit(tokens=50)
