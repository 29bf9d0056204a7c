"""What a history was made into for a wire, kept from one request to the next.

A history is only ever appended to, so each item is translated once. That a history extends the one
before is checked, not assumed: another one (the reviewer's, one that was compacted) is translated
from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

_HISTORIES = 2
"""A thread's own, and that of whoever else asks its model."""


class Taking(Protocol):
    """Something that histories are translated into, item by item."""

    def take(self, raw: bytes) -> None:
        """Add the next item."""


T = TypeVar("T", bound=Taking)


class _History(Generic[T]):
    def __init__(self, model: str, made: T) -> None:
        self.model = model
        self.made = made
        self.seen: list[bytes] = []


class Kept(Generic[T]):
    """The translations of the last few histories."""

    def __init__(self, make: Callable[[str], T]) -> None:
        """Begin with none; `make` begins a translation for a model."""
        self._make = make
        self._histories: list[_History[T]] = []

    def of(self, model: str, items: Sequence[bytes]) -> T:
        """Return the translation of `items`. Only those not seen before are translated."""
        fitting = [one for one in self._histories if _extends(one, model, items)]
        if fitting:
            history = max(fitting, key=lambda one: len(one.seen))
            self._histories.remove(history)
        else:
            history = _History(model, self._make(model))
        self._histories.insert(0, history)
        del self._histories[_HISTORIES:]
        for raw in items[len(history.seen) :]:
            history.seen.append(raw)
            history.made.take(raw)
        return history.made


def _extends(history: _History[T], model: str, items: Sequence[bytes]) -> bool:
    if history.model != model or len(history.seen) > len(items):
        return False
    # Items are the same objects from one request to the next, so they are compared by that first.
    return list(items[: len(history.seen)]) == history.seen
