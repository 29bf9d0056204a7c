"""The history as a model is sent it: every entry encoded once, its bytes kept.

Only ever appended to, so each prompt's input extends the last one's and the provider's prompt
cache hits. A call that never got its output is given one here; the log is not patched.
"""

from __future__ import annotations

from octavo.context.outputs import missing_output, turn_note
from octavo.protocol.fold import Entry, Spoken, Thread, TurnNote, Unanswered


class Transcript:
    """The encoded history of one thread."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._seen = 0
        self._items: list[bytes] = []

    def items(self) -> list[bytes]:
        """Return the model items so far, oldest first. The caller must not change the list."""
        history = self._thread.history
        while self._seen < len(history):
            item = _encoded(history[self._seen])
            if item is not None:
                self._items.append(item)
            self._seen += 1
        return self._items


def _encoded(entry: Entry) -> bytes | None:
    match entry:
        case Spoken():
            return entry.raw
        case Unanswered():
            why = "failed" if entry.why == "completed" else entry.why
            return missing_output(entry.call_id, entry.freeform, why, ran=entry.began)
        case TurnNote():
            return turn_note(entry.why)
