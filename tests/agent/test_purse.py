"""What is reserved before a request: never more than there is, and as much output as that buys."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.budget import Amount
from octavo.agent.journal import Journal
from octavo.agent.purse import LEAST_OUTPUT_TOKENS, Purse
from octavo.config.settings import PriceConfig, ThreadBudget, TurnBudget
from octavo.model import Chunk, Completed, Prompt
from octavo.model.prices import Prices
from octavo.protocol.errors import BudgetSpent, ConfigError
from octavo.protocol.fold import Thread
from octavo.protocol.usage import Usage

USD = st.floats(0.01, 80).map(lambda usd: round(usd, 3))


def purse(price: PriceConfig | None, thread_tokens: int | None = None) -> Purse:
    own = {} if price is None else {"m": price}
    prices = Prices(own, free=(), on_trouble=print)
    limits = ThreadBudget(max_tokens=thread_tokens)
    return Purse(Journal(Thread(), None), lambda: prices, limits)


@given(
    st.builds(PriceConfig, USD, USD),
    st.none() | st.integers(1, 300_000),
    st.none() | st.integers(1, 3_000_000).map(lambda micro: micro / 1e6),
    st.integers(0, 200_000),
    st.integers(LEAST_OUTPUT_TOKENS, 128_000),
)
def test_a_reservation_is_within_what_is_left_or_is_refused(
    price: PriceConfig, tokens: int | None, usd: float | None, read: int, most: int
) -> None:
    async def reserve() -> None:
        paying = purse(price)
        paying.begin_turn(TurnBudget(max_cost_usd=usd, max_tokens=tokens), "p", "m")
        left, known = paying.turn.left(), paying.price("p", "m")
        assert known is not None
        try:
            reservation, output_tokens = await paying.reserve(known, read, most)
        except BudgetSpent:
            least = known.most_nano_usd(read, LEAST_OUTPUT_TOKENS)
            assert not left.allows(Amount(read + LEAST_OUTPUT_TOKENS, least + 1))
            return
        assert left.allows(reservation.amount)
        if tokens is None and usd is None:
            assert output_tokens is None
        else:
            assert output_tokens is not None
            assert LEAST_OUTPUT_TOKENS <= output_tokens <= most
            assert reservation.amount.tokens == read + output_tokens

    anyio.run(reserve)


def test_a_limit_in_money_without_a_price_opens_nothing() -> None:
    paying = purse(None)
    with pytest.raises(ConfigError, match=r'\[prices\."m"\]'):
        paying.begin_turn(TurnBudget(max_cost_usd=1), "p", "m")

    assert not paying.is_limited


def test_a_total_that_is_less_than_its_parts_is_not_believed() -> None:
    said = Usage(input_tokens=4000, output_tokens=1000, total_tokens=1)
    paying = purse(None)

    class Odd:
        async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
            yield Completed("r", said)

    async def ask() -> None:
        model = paying.metered(Odd(), "p", most_output_tokens=1000)
        prompt = Prompt(model="m", input=(), tools=b"[]", cache_key="k")
        assert [chunk async for chunk in model.stream(prompt)] == [Completed("r", None)]

    anyio.run(ask)

    assert paying.thread.spent.tokens == 5000


def test_a_turn_has_no_more_than_its_thread() -> None:
    paying = purse(PriceConfig(1, 1), 5000)
    paying.begin_turn(TurnBudget(max_tokens=9000), "p", "m")

    assert paying.turn.left().tokens == 5000
