"""Which of a thread's entries a prompt is made of: the history, or what a compaction left of it.

The history is never changed. A compaction lays a `Cut` on it: some places that stand for everything
before it, after which the history goes on as it grows. So what is shown grows at its end alone, a
compaction costs what it shows, and undoing one is lifting its cut: what came since stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from octavo.protocol.events import Added, Again, Compacted, Kept

Place = int
"""A number of the history; below zero, `~n` is the `n`th item that a compaction added."""


class Cut:
    """One compaction as it counts; the first of a thread's cuts is that there was none.

    Attributes:
        base: the places that stand for the history before `since`.
        since: from this number on, the history is shown as it is.
        context: digest of what is said of each key in what is shown.
        covered: what a provider last measured reaches up to this number of the history.
        covered_tokens: how much that was; 0 when nothing was measured since the cut.
        made: the compaction; None for the first cut, and where turns were taken back.
        summary: the compaction whose summary is in what is shown, if any.
        held: somebody undid a compaction that stood on this cut.
    """

    __slots__ = ("base", "context", "covered", "covered_tokens", "held", "made", "since", "summary")

    def __init__(
        self, base: tuple[Place, ...], since: int, context: dict[str, str], made: Compacted | None
    ) -> None:
        self.base = base
        self.since = since
        self.context = context
        self.covered = since
        self.covered_tokens = 0
        self.made = made
        self.summary = made
        self.held = False


def without_later(cut: Cut, until: Place, since: Place, context: dict[str, str]) -> Cut:
    """Return the cut that shows what `cut` showed up to entry `until`, and what comes from `since`.

    Args:
        context: what was said of the surroundings at `until`, by key.
    """
    shown = Cut((*cut.base, *range(cut.since, until)), since, context, None)
    shown.summary = cut.summary
    return shown


def places(event: Compacted, added_before: int) -> Iterator[Place]:
    """Yield the places that `event` shows, when `added_before` items were added before it."""
    added = added_before
    for part in event.view:
        match part:
            case Kept():
                yield from range(part.first, part.until)
            case Added():
                yield ~added
                added += 1
            case Again():
                yield ~part.number


def is_possible(event: Compacted, history: int, added_before: int) -> bool:
    """Whether `event` shows only what there is, in a thread whose history has `history` entries."""
    if event.until != history:
        return False
    for part in event.view:
        match part:
            case Kept():
                if not 0 <= part.first < part.until <= history:
                    return False
            case Again():
                if not 0 <= part.number < added_before:
                    return False
            case Added():
                pass
    return True
