"""What a thread spends on models: every request is reserved, made, counted.

A `Metered` is a model like the one it wraps; the loop cannot tell. Before a request it reserves
the most that the request can cost, and afterwards it says what it did cost as `Spent`, also when
the answer was cut off. The usage is said there and nowhere else: the `Completed` that comes out of
it has none, so nobody counts it twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from octavo.agent.budget import NO_LIMIT, Amount, Budget, Limit, OverBudget, Reservation
from octavo.agent.clock import now_ms
from octavo.agent.gauge import Gauge
from octavo.agent.journal import Journal
from octavo.config.settings import ThreadBudget, TurnBudget
from octavo.model import Chunk, Completed, ItemDone, Model, Prompt, ReasoningDelta, TextDelta
from octavo.protocol.errors import BudgetSpent, ConfigError, ModelError, OutputLimit, StreamCut
from octavo.protocol.events import Spent
from octavo.protocol.usage import NANO_USD, Usage, dollars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.model.prices import Price, Prices

LEAST_OUTPUT_TOKENS = 1_000
"""A request that could say less than this is not worth making."""
_MOST_TOKENS = 1 << 40
"""Of one request. Whoever says that it was more is not believed."""


class Purse:
    """A thread's money. One turn runs at a time.

    Args:
        prices: gives what models cost; asked before the first request only if that matters then.
        limits: for the whole thread; what its log says it has spent is counted.
        parent: what the thread spends from as well, where it works for another one.
    """

    def __init__(
        self,
        journal: Journal,
        prices: Callable[[], Prices],
        limits: ThreadBudget,
        *,
        parent: Budget | None = None,
    ) -> None:
        spent = journal.thread.spent
        self._journal = journal
        self._find_prices = prices
        self._prices: Prices | None = None
        self.thread = Budget(
            "thread",
            limit_of(limits.max_cost_usd, limits.max_tokens),
            parent=parent,
            spent=Amount(spent.usage.total_tokens, spent.nano_usd),
        )
        self.turn = self.thread.child("turn")
        self.turn_time_s: float | None = None

    def begin_turn(self, limits: TurnBudget, provider: str, model: str) -> None:
        """Open the budget of a turn on `model`.

        Raises:
            ConfigError: it is one in money, and what the model costs is not known.
        """
        limit = limit_of(limits.max_cost_usd, limits.max_tokens)
        self._check_price(limit, provider, model)
        self.turn = self.thread.child("turn", limit)
        self.turn_time_s = limits.max_time_s

    def check(self, limits: TurnBudget, provider: str, model: str) -> None:
        """Raise what `begin_turn` would."""
        self._check_price(limit_of(limits.max_cost_usd, limits.max_tokens), provider, model)

    def _check_price(self, limit: Limit, provider: str, model: str) -> None:
        both = limit.and_(self.thread.limit)
        if both.nano_usd is None:
            return
        if self.price(provider, model) is None:
            raise ConfigError(
                f"A budget in money is set, and what {model!r} costs at the provider {provider!r} "
                "is not known.",
                hint="Say it in config.toml, in dollars per million tokens: "
                f'[prices."{model}"] input = …, output = …; or limit tokens instead '
                "(--max-tokens).",
            )
        unpriced = self._journal.thread.spent.unpriced
        if unpriced and self.thread.limit.nano_usd is not None:
            raise ConfigError(
                f"The thread has a budget in money, and what {unpriced} of its requests cost is "
                "not known.",
                hint="Limit the thread's tokens (budget.thread.max_tokens), or what each turn may "
                "cost (budget.turn.max_cost_usd).",
            )

    def metered(
        self, model: Model, provider: str, *, most_output_tokens: int, purpose: str = "turn"
    ) -> Metered:
        """Return `model`, with its requests paid for from this purse.

        Args:
            most_output_tokens: what the model can write in one answer, as far as is known.
            purpose: what its requests are counted as; see `events.Spent`.
        """
        return Metered(self, model, provider, most_output_tokens, purpose)

    @property
    def is_limited(self) -> bool:
        """Whether anything limits the turn."""
        return self.turn.left() != NO_LIMIT

    def price(self, provider: str, model: str) -> Price | None:
        """Return what a model costs; None when that is not known."""
        if self._prices is None:
            self._prices = self._find_prices()
        return self._prices.of(provider, model)

    async def reserve(
        self, price: Price | None, input_tokens: int, most_output_tokens: int
    ) -> tuple[Reservation, int | None]:
        """Reserve a request; return how much output is paid for, where that has to be limited.

        Raises:
            BudgetSpent: too little is left.
        """
        budget = self.turn
        output_tokens = most_output_tokens
        capped = False

        def size(left: Limit) -> Amount | None:
            nonlocal output_tokens, capped
            output_tokens = _affordable(left, price, input_tokens, most_output_tokens)
            capped = left != NO_LIMIT
            if capped and output_tokens < LEAST_OUTPUT_TOKENS:
                return None
            cost = price.most_nano_usd(input_tokens, output_tokens) if price else 0
            if left.nano_usd is not None:
                cost = min(cost, left.nano_usd)  # it is rounded up
            return Amount(input_tokens + output_tokens, cost)

        try:
            reservation = await budget.claim(size)
        except OverBudget as over:
            raise self._used_up(over.budget, price, input_tokens) from None
        return reservation, output_tokens if capped else None

    def settle(self, reservation: Reservation, spent: Spent) -> None:
        """Count a request that is over."""
        reservation.settle(Amount(spent.usage.total_tokens, spent.nano_usd or 0))
        turn = self._journal.thread.turn
        if turn is not None:
            spent = msgspec.structs.replace(spent, turn_id=turn.started.turn_id)
        self._journal.emit_last(spent)

    def cut_short(self) -> BudgetSpent:
        """Return the error for an answer that was ended because no more was paid for."""
        budget = self.thread if self.turn.limit == NO_LIMIT else self.turn
        return BudgetSpent(
            f"The answer was ended where the budget of the {budget.name} "
            f"({_limits(budget.limit)}) was used up: {_spent(budget)}. What was finished is kept.",
            hint=_hint(budget),
        )

    def _used_up(self, budget: Budget, price: Price | None, input_tokens: int) -> BudgetSpent:
        parts = []
        if price is not None and budget.limit.nano_usd is not None:
            parts.append(dollars(price.most_nano_usd(input_tokens, LEAST_OUTPUT_TOKENS)))
        if budget.limit.tokens is not None:
            parts.append(f"{input_tokens + LEAST_OUTPUT_TOKENS:,} tokens")
        return BudgetSpent(
            f"The budget of the {budget.name} ({_limits(budget.limit)}) is used up: "
            f"{_spent(budget)}, and the next request could take {' and '.join(parts)} or more. "
            "What was finished is kept.",
            hint=_hint(budget),
        )


def limit_of(max_cost_usd: float | None, max_tokens: int | None) -> Limit:
    """Return a limit out of settings."""
    cost = None if max_cost_usd is None else round(max_cost_usd * NANO_USD)
    return Limit(max_tokens, cost)


def _affordable(left: Limit, price: Price | None, input_tokens: int, most: int) -> int:
    """Return how much output a request may have, given what is left."""
    if left.tokens is not None:
        most = min(most, left.tokens - input_tokens)
    if left.nano_usd is not None and price is not None:
        most = min(most, price.output_tokens_for(left.nano_usd, input_tokens))
    return most


def _limits(limit: Limit) -> str:
    parts = []
    if limit.nano_usd is not None:
        parts.append(dollars(limit.nano_usd))
    if limit.tokens is not None:
        parts.append(f"{limit.tokens:,} tokens")
    return " and ".join(parts)


def _spent(budget: Budget) -> str:
    tokens = f"{budget.spent.tokens:,} tokens"
    if budget.limit.nano_usd is None:
        return f"{tokens} were spent"
    return f"{dollars(budget.spent.nano_usd)} was spent ({tokens})"


def _hint(budget: Budget) -> str:
    if budget.name == "thread":
        return "To go on, raise it: budget.thread in config.toml."
    return "The next turn has a budget of its own."


class Metered:
    """A model whose requests are paid for. Implements `Model`."""

    def __init__(
        self,
        purse: Purse,
        model: Model,
        provider: str,
        most_output_tokens: int,
        purpose: str,
    ) -> None:
        self._purse = purse
        self._model = model
        self._provider = provider
        self._most_output_tokens = most_output_tokens
        self._purpose = purpose
        self._gauge = Gauge()

    def counted_as(self, purpose: str) -> Metered:
        """Return the same model, its requests counted as another purpose."""
        return Metered(self._purse, self._model, self._provider, self._most_output_tokens, purpose)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`.

        Raises:
            BudgetSpent: too little is left for it, or the answer was ended for that reason.
        """
        purse = self._purse
        measured = self._gauge.measure(prompt)
        most = self._most_output_tokens
        price = purse.price(self._provider, prompt.model) if purse.is_limited else None
        reservation, paid_for = await purse.reserve(price, measured, most)
        if paid_for is not None:
            prompt = msgspec.structs.replace(prompt, max_output_tokens=paid_for)
        bill = _Bill(measured)
        with reservation:
            try:
                async with aclosing(self._model.stream(prompt)) as chunks:
                    async for chunk in chunks:
                        told = bill.take(chunk)
                        if isinstance(chunk, Completed):
                            self._settle(bill, reservation, prompt)
                        yield told
            except OutputLimit as failure:
                bill.fail(failure)
                if paid_for is None or paid_for >= most:
                    raise
                self._settle(bill, reservation, prompt)
                raise purse.cut_short() from failure
            except Exception as failure:
                bill.fail(failure)
                raise
            finally:
                self._settle(bill, reservation, prompt)

    def _settle(self, bill: _Bill, reservation: Reservation, prompt: Prompt) -> None:
        if bill.settled:
            return
        bill.settled = True
        usage, estimated = bill.usage()
        if usage is None:
            return
        if not estimated:
            self._gauge.learn(usage.input_tokens)
        price = self._purse.price(self._provider, prompt.model)  # not before: it reads a file
        cost = None if price is None else price.nano_usd(usage)
        spent = Spent(now_ms(), self._purpose, self._provider, prompt.model, usage, cost, estimated)
        self._purse.settle(reservation, spent)


class _Bill:
    """What one request costs, as far as it is known."""

    def __init__(self, input_tokens: int) -> None:
        self.settled = False
        self._input_tokens = input_tokens
        self._output_bytes = 0
        self._began = False
        self._refused = False
        self._said: Usage | None = None

    def take(self, chunk: Chunk) -> Chunk:
        """Count a chunk; return it, without the usage."""
        self._began = True
        match chunk:
            case TextDelta() | ReasoningDelta():
                self._output_bytes += len(chunk.text)
            case ItemDone(call=call) if call is not None:
                self._output_bytes += len(call.arguments) + len(call.name)
            case Completed():
                self._hear(chunk.usage)
                return msgspec.structs.replace(chunk, usage=None)
            case _:
                pass
        return chunk

    def fail(self, failure: Exception) -> None:
        """Count an answer that went wrong."""
        if isinstance(failure, ModelError):
            self._hear(failure.usage)
        self._refused = not self._began and not isinstance(failure, StreamCut)

    def _hear(self, usage: Usage | None) -> None:
        """Believe the provider, unless what it says cannot be."""
        if usage is None or not usage.input_tokens:
            return  # no request is of nothing: who says so does not count
        if all(0 <= n <= _MOST_TOKENS for n in msgspec.structs.astuple(usage)):
            least = usage.input_tokens + usage.output_tokens
            total = max(usage.total_tokens, least)  # a budget of tokens counts this
            self._said = msgspec.structs.replace(usage, total_tokens=total)

    def usage(self) -> tuple[Usage | None, bool]:
        """Return what it cost and whether that is a guess; None when it cost nothing."""
        if self._said is not None:
            return self._said, False
        if self._refused:
            return None, False
        output_tokens = -(-self._output_bytes // 4)
        total = self._input_tokens + output_tokens
        return (
            Usage(input_tokens=self._input_tokens, output_tokens=output_tokens, total_tokens=total),
            True,
        )
