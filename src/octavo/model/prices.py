"""What models cost: the person's own prices first, then the table that octavo ships.

The table is `[prices]` in `models.toml`, compiled into `prices.json`; it is read when the first
request has been paid for, never at a start. A price that is not known is None, never 0: the table
holds what a maker's own service charges, so it says nothing about other providers, and a model
that is not listed is not taken for its neighbour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import ceil
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.settings import PriceConfig
from octavo.protocol.usage import NANO_USD, Usage

COMPILED = Path(__file__).with_name("prices.json")
_PER = NANO_USD / 1_000_000
"""Prices are dollars per a million tokens."""


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model's tokens cost, in dollars per a million."""

    input: float
    output: float
    cached_input: float | None = None
    """None: as much as `input`."""
    cache_write: float | None = None
    """None: as much as `input`."""
    long_from: int | None = None
    """A request with more input tokens than this is dearer as a whole."""
    long_input: float = 1
    """That many times, for everything that is read."""
    long_output: float = 1

    def nano_usd(self, usage: Usage) -> int:
        """Return what a request with this usage cost."""
        cached, written = usage.cached_input_tokens, usage.cache_write_input_tokens
        plain = max(0, usage.input_tokens - cached - written)
        read = (
            plain * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
        )
        return self._sum(usage.input_tokens, read, usage.output_tokens)

    def most_nano_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Return the most that a request of this size can cost: with nothing in the cache."""
        dearest = max(self.input, self.cache_write or 0, self.cached_input or 0)
        return self._sum(input_tokens, input_tokens * dearest, output_tokens)

    def output_tokens_for(self, nano_usd: int, input_tokens: int) -> int:
        """Return how much output that much money buys at least, with so much input."""
        left = nano_usd - self.most_nano_usd(input_tokens, 0)
        each = self.output * _PER * (self.long_output if self._is_long(input_tokens) else 1)
        if left < 0:
            return 0
        return int(left / each) if each else 1 << 40

    def _sum(self, input_tokens: int, read: float, output_tokens: int) -> int:
        written = output_tokens * self.output
        if self._is_long(input_tokens):
            read, written = read * self.long_input, written * self.long_output
        return ceil(round((read + written) * _PER, 3))

    def _is_long(self, input_tokens: int) -> bool:
        return self.long_from is not None and input_tokens > self.long_from


FREE = Price(0, 0)


class Listed(Price, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price of the table."""

    provider: str
    """Whose price it is: the id of the provider that charges it."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All prices octavo ships."""

    currency: Literal["USD"]
    as_of: str
    """The day on which they were read, as in 2026-11-30."""
    models: dict[str, Listed]


def read_table(path: Path = COMPILED) -> Table:
    """Return the shipped table.

    Raises:
        OSError: it is missing.
        msgspec.MsgspecError: it is damaged.
    """
    return msgspec.json.decode(path.read_bytes(), type=Table)


class Prices:
    """Finds prices.

    Args:
        own: `[prices]` of the settings, by model or by "provider/model".
        free: ids of providers that cost nothing.
        on_trouble: told, once, that the table cannot be used.
    """

    def __init__(
        self,
        own: Mapping[str, PriceConfig],
        *,
        free: Collection[str],
        on_trouble: Callable[[str], None],
        source: Path | None = None,
    ) -> None:
        self._own = {name.lower(): Price(**msgspec.structs.asdict(p)) for name, p in own.items()}
        self._free = free
        self._on_trouble = on_trouble
        self._source = source or COMPILED
        self._table: Mapping[str, Listed] | None = None

    def of(self, provider: str, model: str) -> Price | None:
        """Return what `model` costs at `provider`; None when that is not known."""
        name = model.lower()
        for key in (f"{provider.lower()}/{name}", name):
            if key in self._own:
                return self._own[key]
        if provider in self._free:
            return FREE
        table = self._listed()
        name = name.rpartition("/")[2]
        found = table.get(name) or table.get(_undated(name))
        return found if found is not None and found.provider == provider else None

    def _listed(self) -> Mapping[str, Listed]:
        if self._table is None:
            try:
                self._table = read_table(self._source).models
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._table = {}
                what = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
                self._on_trouble(
                    f"The price table {self._source} {what}, so costs are not known. Install "
                    'octavo again, or set prices of your own: [prices."MODEL"] in config.toml.'
                )
        return self._table


def _undated(name: str) -> str:
    """Return a model's name without the date of its snapshot, if it ends in one.

    Nothing else that follows a name is passed over: `gpt-5.5-pro` is not a `gpt-5.5`.
    """
    for digits, size in ((8, 9), (10, 11)):
        tail = name[-size:]
        plain = tail[1:].replace("-", "") if digits == 10 else tail[1:]
        if len(tail) == size and tail[0] in "-@" and plain.isdigit() and len(plain) == 8:
            return name[:-size]
    return name
