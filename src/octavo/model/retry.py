"""How long to wait before asking a busy model again, and when to give up.

There is one budget for all that can go wrong between two completed responses: refused
connections, faults of the provider, streams cut off. Nothing else retries, so nothing is retried
inside a retry. This file decides; it neither waits nor asks.
"""

from __future__ import annotations

from collections.abc import Callable

from octavo.model import Provider
from octavo.protocol.errors import ModelBusy, ModelError, StreamCut

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 30.0
LONGEST_ASKED_WAIT_S = 300.0
JITTER = 0.1


def _random() -> float:
    import random

    return random.random()


class Patience:
    """The budget of one thread.

    Attributes:
        failures: consecutive failures so far.
    """

    def __init__(self, provider: Provider, *, random: Callable[[], float] = _random) -> None:
        """Begin with the provider's limits; `random` gives numbers from 0 up to 1."""
        self.failures = 0
        self._provider = provider
        self._random = random

    def next_wait_s(self, error: ModelBusy) -> float | None:
        """Count `error`, and return the seconds to wait before asking again; None to give up."""
        asked_s = error.retry_after_s
        if self.failures >= self.limit(error):
            return None
        if asked_s is not None and asked_s > LONGEST_ASKED_WAIT_S:
            return None
        self.failures += 1
        if asked_s is not None:
            # Never before the moment the provider named; and not all clients at that moment.
            return asked_s * (1 + JITTER * self._random())
        wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (self.failures - 1))
        return wait_s * (1 - JITTER + 2 * JITTER * self._random())

    def limit(self, error: ModelBusy) -> int:
        """Return how many failures are forgiven when `error` is the latest."""
        if isinstance(error, StreamCut):
            return self._provider.stream_max_retries
        return self._provider.request_max_retries

    def give_up(self, error: ModelBusy) -> ModelError:
        """Return the error to end a turn with, once `next_wait_s` has said None."""
        asked_s = error.retry_after_s
        if asked_s is not None and asked_s > LONGEST_ASKED_WAIT_S:
            said = f"It asks to wait {_span(asked_s)}, which is too long to wait for here."
            hint = "Ask again later, or choose another provider."
        else:
            tries = self.failures + 1
            said = f"Gave up after {tries} attempts." if self.failures else "It was not retried."
            hint = "Ask again; finished work is kept."
        return ModelError(f"{error} {said}", hint=hint, info=error.info, status=error.status)

    def reset(self) -> None:
        """Forget the failures: a response has completed."""
        self.failures = 0


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"
