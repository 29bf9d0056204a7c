"""What is shown of a thread, taken apart so that some of it can be left out.

A part is one item; parts that only make sense together (the items of a response, and the outputs of
its calls) are one step, and steps between two messages of the user are one turn. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from octavo.context.readable import CALLS, OUTPUTS, head
from octavo.context.tokens import item_tokens
from octavo.protocol.events import Added, Again, Kept, Shown
from octavo.protocol.view import Place

Kind = Literal["context", "user", "step", "note"]
"""What it is: octavo's word on the surroundings, the user's message, a part of the model's work, or
what an earlier compaction or the end of a turn left there."""


class Part:
    """One item that is shown.

    Attributes:
        place: where it is, in the history or among what was added; None when it is new.
        step: number of its step; parts of other kinds have none, -1.
        turn: number of the turn, counted in the messages of the user before it.
        is_models: the model said it, or called for it.
        call_id: the id of the call that it is or belongs to; "" where there is none.
        output_of: the same, of an output alone.
        raw: the item, as it is to be shown now.
        fixed: it must not be left out.
        dropped: it is not to be shown.
    """

    __slots__ = (
        *(
            "call_id",
            "dropped",
            "fixed",
            "is_models",
            "kind",
            "output_of",
            "place",
            "raw",
            "step",
            "tokens",
        ),
        *("turn", "type"),
    )

    def __init__(self, place: Place | None, raw: bytes, kind: Kind) -> None:
        self.place = place
        self.raw = raw
        self.kind: Kind = kind
        found = head(raw)
        self.type = found.type
        self.is_models = found.type not in ("message", "") or found.role == "assistant"
        self.call_id = found.call_id
        self.output_of = found.call_id if found.type in OUTPUTS else ""
        self.step = -1
        self.turn = 0
        self.tokens = item_tokens(raw)
        self.fixed = False
        self.dropped = False

    @property
    def is_output(self) -> bool:
        return bool(self.output_of)

    @property
    def is_call(self) -> bool:
        return self.type in CALLS

    def replace(self, raw: bytes) -> None:
        """Show `raw` in its place."""
        self.place = None
        self.raw = raw
        self.tokens = item_tokens(raw)

    def shown(self) -> Shown:
        """Return how the log says it."""
        if self.place is None:
            return Added(msgspec.Raw(self.raw))
        return Again(~self.place) if self.place < 0 else Kept(self.place, self.place + 1)


def parts_of(
    items: Iterable[tuple[Place, bytes]], *, said: Collection[Place], context: Collection[Place]
) -> list[Part]:
    """Take what is shown apart.

    Args:
        items: places and items, in the order in which they are shown.
        said: the places of what the user said.
        context: the places of what octavo said of the surroundings.
    """
    parts: list[Part] = []
    step, turn, open_step, after_output = -1, 0, False, False
    for place, raw in items:
        part = Part(place, raw, "note")
        if place in said:
            part.kind, open_step = "user", False
            turn += 1
        elif place in context:
            part.kind, open_step = "context", False
        elif part.is_models:
            part.kind = "step"
            if place < 0 and not (part.is_output or part.is_call):
                part.kind, open_step = "note", False
            elif not open_step or (after_output and not part.is_output):
                step, open_step = step + 1, True
        else:
            open_step = False
        after_output = part.is_output
        part.step = step if part.kind == "step" else -1
        part.turn = turn
        parts.append(part)
    return parts


def joined(shown: Iterable[Shown]) -> tuple[Shown, ...]:
    """Return the same with neighbouring pieces of the history as one."""
    found: list[Shown] = []
    for one in shown:
        last = found[-1] if found else None
        if isinstance(one, Kept) and isinstance(last, Kept) and last.until == one.first:
            found[-1] = Kept(last.first, one.until)
        else:
            found.append(one)
    return tuple(found)


def tokens_of(parts: Iterable[Part]) -> int:
    """Return about how many tokens those parts are that are shown."""
    return sum(part.tokens for part in parts if not part.dropped)
