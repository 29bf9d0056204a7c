"""What a model costs: never a guess, and never nothing where it is something."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.config.settings import PriceConfig
from octavo.model.prices import COMPILED, FREE, Price, Prices, read_table
from octavo.protocol.usage import Usage

MILLION = 1_000_000


def prices(own: dict[str, PriceConfig] | None = None, source: Path | None = None) -> Prices:
    def fail(text: str) -> None:
        raise AssertionError(text)

    return Prices(own or {}, free={"ollama"}, on_trouble=fail, source=source)


def test_each_kind_of_token_has_its_price() -> None:
    price = Price(2, 10, cached_input=0.1, cache_write=2.5)
    usage = Usage(
        input_tokens=MILLION,
        cached_input_tokens=600_000,
        cache_write_input_tokens=100_000,
        output_tokens=50_000,
        reasoning_output_tokens=40_000,
        total_tokens=1_050_000,
    )
    # 0.3 × 2 + 0.6 × 0.1 + 0.1 × 2.5 + 0.05 × 10
    assert price.nano_usd(usage) == 1_410_000_000


def test_a_long_request_is_dearer_as_a_whole() -> None:
    price = Price(2, 10, long_from=1000, long_input=2, long_output=1.5)

    assert price.nano_usd(Usage(input_tokens=1000, output_tokens=1)) == 2_010_000
    assert price.nano_usd(Usage(input_tokens=1001, output_tokens=1)) == 4_004_000 + 15_000


TOKENS = st.integers(0, 2 * MILLION)
DOLLARS = st.floats(0, 100).map(lambda usd: round(usd, 3))


@given(
    st.builds(Price, DOLLARS, DOLLARS, st.none() | DOLLARS, st.none() | DOLLARS),
    TOKENS,
    TOKENS,
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_no_request_costs_more_than_the_most_it_can(
    price: Price, read: int, written: int, cached: float, stored: float
) -> None:
    hits = int(read * cached)
    usage = Usage(
        input_tokens=read,
        cached_input_tokens=hits,
        cache_write_input_tokens=int((read - hits) * stored),
        output_tokens=written,
    )
    assert price.nano_usd(usage) <= price.most_nano_usd(read, written)


@given(
    st.builds(Price, DOLLARS, DOLLARS.filter(bool)),
    st.integers(0, 10**12),
    st.integers(0, MILLION),
)
def test_the_output_that_money_buys_is_paid_for_by_it(price: Price, nano: int, read: int) -> None:
    bought = price.output_tokens_for(nano, read)
    if bought:
        assert price.most_nano_usd(read, bought) <= nano + 1


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-7"),
        ("openai", "gpt-5.5-pro"),
        ("openai", "gpt-6.1"),
        ("anthropic", "claude-opus-5-7"),
        ("gateway", "gpt-5.5"),
        ("anthropic", "gpt-5.5"),
        ("openai", ""),
    ],
)
def test_what_is_not_listed_is_unknown_and_not_its_neighbour(provider: str, model: str) -> None:
    assert prices().of(provider, model) is None


def test_a_snapshot_costs_what_its_model_does() -> None:
    found = prices()

    assert found.of("openai", "gpt-5.5-2026-04-23") is found.of("openai", "GPT-5.5")
    assert found.of("openai", "openai/gpt-5.5") is found.of("openai", "gpt-5.5")
    assert found.of("anthropic", "claude-opus-4-5-20251101") is not None


def test_a_model_on_this_machine_costs_nothing() -> None:
    assert prices().of("ollama", "qwen3:8b") is FREE


def test_the_persons_own_price_is_stronger_and_the_nearer_one_strongest() -> None:
    own = {"gpt-5.5": PriceConfig(1, 2), "Gateway/gpt-5.5": PriceConfig(3, 4)}
    found = prices(own)

    assert found.of("openai", "gpt-5.5") == Price(1, 2)
    assert found.of("gateway", "GPT-5.5") == Price(3, 4)
    assert prices({"qwen3:8b": PriceConfig(1, 1)}).of("ollama", "qwen3:8b") == Price(1, 1)


@pytest.mark.parametrize("data", [None, b"", b"[]", b'{"models": {"gpt-5.5": {"input": "x"}}}'])
def test_a_table_that_is_missing_or_damaged_is_told_once(
    data: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "prices.json"
    if data is not None:
        file.write_bytes(data)
    told: list[str] = []
    found = Prices({"mine": PriceConfig(1, 2)}, free=(), on_trouble=told.append, source=file)

    assert [found.of("openai", "gpt-5.5") for _ in range(3)] == [None] * 3
    assert found.of("openai", "mine") == Price(1, 2)
    [text] = told
    assert str(file) in text
    assert "[prices." in text


def test_what_is_read_is_what_the_source_says() -> None:
    """Mend with `make models`."""
    assert COMPILED.read_bytes() == runpy.run_path("tools/models.py")["compiled_prices"]()
    for price in read_table().models.values():
        assert 0 < (price.cached_input or price.input) <= price.input < price.output
