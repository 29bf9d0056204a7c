"""A table of contents of what a model is not shown any more, so that it knows what to look up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from octavo.context.readable import Readable
from octavo.context.visible import visible_line
from octavo.protocol.view import Place

TURNS_SHOWN = 40
TITLE_CHARS = 80
TOOLS_NAMED = 4


class _Turn:
    """What came after one message of the user, and is not shown."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.first = self.last = -1
        self.calls: Counter[str] = Counter()
        self.messages = 0

    def add(self, place: Place, item: Readable) -> None:
        if self.first < 0:
            self.first = place
        self.last = place
        if item.kind == "call":
            self.calls[item.name] += 1
        elif item.kind == "assistant":
            self.messages += 1

    def line(self) -> str:
        parts = [f"{count}× {name}" for name, count in self.calls.most_common(TOOLS_NAMED)]
        if len(self.calls) > TOOLS_NAMED:
            parts.append(f"{len(self.calls) - TOOLS_NAMED} other tools")
        if self.messages:
            parts.append(f"{self.messages} message{'s' * (self.messages != 1)} of yours")
        numbers = f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
        return f"items {numbers}, {self.title}: {', '.join(parts) or 'no calls'}"


def contents(
    history: Iterable[tuple[Place, Readable]], *, said: Collection[Place], shown: Collection[Place]
) -> list[str]:
    """Return a line for each turn of which something is not shown; the oldest as one.

    Args:
        history: all of it, from its start.
        said: the places of what the user said.
        shown: the places that are still shown.
    """
    turn = _Turn("before the user spoke")
    turns = [turn]
    for place, item in history:
        if place in said:
            words = visible_line(" ".join(item.text[: TITLE_CHARS * 4].split()))
            more = "…" if len(words) > TITLE_CHARS else ""
            turn = _Turn(f"after “{words[:TITLE_CHARS]}{more}”")
            turns.append(turn)
        if place not in shown:
            turn.add(place, item)
    gone = [turn for turn in turns if turn.first >= 0]
    older = gone[:-TURNS_SHOWN]
    lines = [turn.line() for turn in gone[-TURNS_SHOWN:]]
    if older:
        calls = sum(turn.calls.total() for turn in older)
        span = f"items {older[0].first} to {older[-1].last}"
        lines.insert(0, f"{span}, {len(older)} older turns: {calls} calls")
    return lines
