"""What requests cost, in tokens and in money."""

from __future__ import annotations

import msgspec

NANO_USD = 1_000_000_000
"""Of these make a dollar. Money is counted in whole ones, so that sums are exact: a token of the
cheapest model costs about ten."""


class Usage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens of one response, a turn or a thread. Cached, cache-write and reasoning tokens are
    included in input and output, not added to them."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0
    total_tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        """Return the sum."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_input_tokens + other.cache_write_input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_output_tokens + other.reasoning_output_tokens,
            self.total_tokens + other.total_tokens,
        )


class Tally(msgspec.Struct, frozen=True):
    """What some requests cost together.

    Attributes:
        nano_usd: of those whose price is known.
        unpriced: how many have no known price, so that `nano_usd` is not all.
        estimated: how many were cut off and are counted by octavo's own estimate.
    """

    usage: Usage = Usage()
    requests: int = 0
    nano_usd: int = 0
    unpriced: int = 0
    estimated: int = 0

    def plus(self, usage: Usage, nano_usd: int | None, *, estimated: bool = False) -> Tally:
        """Return this with one request more."""
        return Tally(
            self.usage.plus(usage),
            self.requests + 1,
            self.nano_usd + (nano_usd or 0),
            self.unpriced + (nano_usd is None),
            self.estimated + estimated,
        )

    @property
    def cost_usd(self) -> float | None:
        """Dollars in all; None when a part is not known."""
        return None if self.unpriced else self.nano_usd / NANO_USD


def dollars(nano_usd: int) -> str:
    """Write money for a person: cents where they say enough, more digits for small sums."""
    usd = nano_usd / NANO_USD
    return f"${usd:.2f}" if usd >= 1 or nano_usd % 10_000_000 == 0 else f"${usd:.4f}"
