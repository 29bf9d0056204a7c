"""What a client that joins in the middle of a turn has missed of it.

Kept from the very notifications that the others were sent, so that what it says and what comes
after it fit together: the text of an item here, and the deltas that follow, are the item's text.
"""

from __future__ import annotations

from collections import deque

import msgspec

from octavo.protocol import items as it
from octavo.protocol import notifications as note

OUTPUT_CHARACTERS = 1 << 18
"""Of a running command's output, the end that is kept; all of it is in its finished item."""


class _Open:
    """An item that is not finished, and what was written of it so far."""

    __slots__ = ("item", "pieces", "size")

    def __init__(self, item: it.ThreadItem) -> None:
        self.item = item
        self.pieces: deque[tuple[str, int, str]] = deque()
        self.size = 0

    def add(self, channel: str, part: int, text: str) -> None:
        self.pieces.append((channel, part, text))
        self.size += len(text)
        if channel == "output":
            while self.size - len(self.pieces[0][2]) >= OUTPUT_CHARACTERS:
                self.size -= len(self.pieces.popleft()[2])

    def so_far(self) -> it.ThreadItem:
        match self.item:
            case it.AgentMessage():
                return msgspec.structs.replace(self.item, text=self.item.text + self._text("text"))
            case it.Reasoning():
                summary, content = self._parts("summary"), self._parts("reasoning")
                return msgspec.structs.replace(self.item, summary=summary, content=content)
            case it.CommandExecution():
                output = (self.item.aggregated_output or "") + self._text("output")
                return msgspec.structs.replace(self.item, aggregated_output=output or None)
            case _:
                return self.item

    def _text(self, channel: str) -> str:
        return "".join(text for of, _, text in self.pieces if of == channel)

    def _parts(self, channel: str) -> tuple[str, ...]:
        parts: dict[int, list[str]] = {}
        for of, part, text in self.pieces:
            if of == channel:
                parts.setdefault(part, []).append(text)
        last = max(parts, default=-1)
        return tuple("".join(parts.get(part, ())) for part in range(last + 1))


class Live:
    """The running turn of a thread, as far as it has been told.

    Attributes:
        status: what the thread is doing.
    """

    def __init__(self) -> None:
        self.status = it.ThreadStatus("idle")
        self._turn: it.Turn | None = None
        self._items: dict[str, it.ThreadItem | _Open] = {}

    def turn(self) -> it.Turn | None:
        """Return the running turn with all its items so far; None between turns."""
        if self._turn is None:
            return None
        items = tuple(i.so_far() if isinstance(i, _Open) else i for i in self._items.values())
        return msgspec.structs.replace(self._turn, items=items, items_view="full")

    def __call__(self, told: note.Notification) -> None:
        """Take in what the clients were told."""
        match told:
            case note.AgentMessageDelta():
                self._add(told.item_id, "text", 0, told.delta)
            case note.CommandOutputDelta():
                self._add(told.item_id, "output", 0, told.delta)
            case note.ReasoningSummaryTextDelta():
                self._add(told.item_id, "summary", told.summary_index, told.delta)
            case note.ReasoningTextDelta():
                self._add(told.item_id, "reasoning", told.content_index, told.delta)
            case note.ItemStarted():
                self._items[told.item.id] = _Open(told.item)
            case note.ItemCompleted():
                if told.item.id in self._items or self._turn is not None:
                    self._items[told.item.id] = told.item
            case note.TurnStarted():
                self._turn = told.turn
                self._items = {key: i for key, i in self._items.items() if isinstance(i, _Open)}
            case note.TurnCompleted():
                self._turn = None
                self._items = {key: i for key, i in self._items.items() if _runs_on(i)}
            case note.ErrorHappened(will_retry=True):
                self._items = {key: i for key, i in self._items.items() if not _was_said(i)}
            case note.ThreadStatusChanged():
                self.status = told.status
            case _:
                pass

    def _add(self, item_id: str, channel: str, part: int, text: str) -> None:
        item = self._items.get(item_id)
        if isinstance(item, _Open):
            item.add(channel, part, text)


def _runs_on(item: it.ThreadItem | _Open) -> bool:
    """Whether it is a command that outlives its turn."""
    return isinstance(item, _Open) and isinstance(item.item, it.CommandExecution)


def _was_said(item: it.ThreadItem | _Open) -> bool:
    """Whether it is a half-written answer, which a new attempt begins again."""
    return isinstance(item, _Open) and isinstance(item.item, it.AgentMessage | it.Reasoning)
