"""A thread's whole history as the tool `recall` reads it: `tools.Record`, made real."""

from __future__ import annotations

from collections.abc import Callable

from octavo.context.outputs import missing_output, turn_note, undo_note
from octavo.context.readable import Readable, readable
from octavo.protocol.fold import Spoken, Thread, TurnNote, Unanswered, UndoNote
from octavo.tools import Entry

OWN_TOOL = "recall"
"""Its own calls and outputs would only be found again."""
_TITLES = {"assistant": "you", "reasoning": "your reasoning", "other": "an item of the provider"}


class ThreadRecord:
    """Implements `tools.Record`.

    Args:
        on_seen: told the labels of every item that the model is shown.
    """

    def __init__(self, thread: Thread, on_seen: Callable[[tuple[str, ...]], None]) -> None:
        self._thread = thread
        self._on_seen = on_seen
        self._said = frozenset(thread.said_at)
        self._calls: dict[str, str] = {}
        """The names of the tools that calls are of, as far as was read."""
        self._named_to = 0

    def __len__(self) -> int:
        return len(self._thread.history)

    def entry(self, number: int) -> Entry | None:
        """Return an item of the history; None when there is nothing to read in it."""
        entry = self._thread.history[number]
        if isinstance(entry, Spoken):
            raw: bytes | None = entry.raw
        elif isinstance(entry, TurnNote):
            raw = turn_note(entry.why)
        elif isinstance(entry, UndoNote):
            raw = undo_note(entry.paths)
        else:
            raw = _missing(entry)
        if raw is None:
            return None
        item = readable(raw)
        name = self._name(item)
        if name == OWN_TOOL:
            return None
        return Entry(number, self._title(number, item, name), item.text)

    def saw(self, number: int) -> None:
        """The model is shown this item: whoever shows it has read what it came from."""
        self._on_seen(self._thread.labels_at.get(number, ()))

    def _title(self, number: int, item: Readable, name: str) -> str:
        match item.kind:
            case "call":
                return f"your call of {name}"
            case "output":
                return f"output of {name or 'a call'}"
            case "user":
                return "the user" if number in self._said else "octavo, on your surroundings"
            case "octavo":
                return "octavo"
            case _:
                return _TITLES[item.kind]

    def _name(self, item: Readable) -> str:
        if item.kind == "call":
            return item.name
        if item.kind != "output":
            return ""
        if item.call_id not in self._calls:
            self._name_calls()
        return self._calls.get(item.call_id, "")

    def _name_calls(self) -> None:
        history = self._thread.history
        for entry in history[self._named_to :]:
            if isinstance(entry, Spoken):
                item = readable(entry.raw)
                if item.kind == "call":
                    self._calls[item.call_id] = item.name
        self._named_to = len(history)


def _missing(entry: Unanswered) -> bytes:
    why = "failed" if entry.why == "completed" else entry.why
    return missing_output(entry.call_id, entry.freeform, why, ran=entry.began)
