"""The history as a model is sent it: every entry encoded once, its bytes kept.

Only ever appended to, so each prompt's input extends the last one's and the provider's prompt
cache hits. The exception is a compaction: then the list begins anew, out of the same bytes. A call
that never got its output is given one here; the log is not patched.
"""

from __future__ import annotations

from octavo.context.outputs import missing_output, turn_note
from octavo.context.tokens import item_tokens
from octavo.protocol.fold import Entry, Spoken, Thread, TurnNote, Unanswered
from octavo.protocol.view import Cut, Place

SCALE_LIMIT = 4.0
"""A provider that measures more than this many times the estimate is not believed."""


class Transcript:
    """The encoded history of one thread, as far as it is shown."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._cut: Cut = thread.cut
        self._items: list[bytes] = []
        self._seen = 0
        self._tokens = [0]
        """What is shown up to each entry of the history from the cut on is worth, in tokens."""
        self._scale = 1.0
        """Measured tokens an estimated one."""
        self._made: dict[Entry, bytes | None] = {}
        self._begin(thread.cut)

    def items(self) -> list[bytes]:
        """Return the model items so far, oldest first. The caller must not change the list."""
        if self._cut is not self._thread.cut:
            self._begin(self._thread.cut)
        history = self._thread.history
        while self._seen < len(history):
            self._append(self.encoded(history[self._seen]))
            self._seen += 1
        return self._items

    def tokens(self, besides_tokens: int) -> int:
        """Return about how many tokens a request with the items is.

        What the provider measured counts, and what came since is estimated.

        Args:
            besides_tokens: the estimate for what is sent beside the items.
        """
        self.items()
        cut = self._cut
        if not cut.covered_tokens:
            return self.scaled(besides_tokens + self._tokens[-1])
        covered = self._tokens[cut.covered - cut.since]
        scale = cut.covered_tokens / max(besides_tokens + covered, 1)
        self._scale = min(max(scale, 1.0), SCALE_LIMIT)
        return cut.covered_tokens + self.scaled(self._tokens[-1] - covered)

    def grown_tokens(self) -> int:
        """Return about how many tokens came since the last compaction, or the thread's start."""
        self.items()
        return self._tokens[-1] - self._tokens[0]

    def scaled(self, estimated_tokens: int) -> int:
        """Return an estimate, corrected by how far off the last one was."""
        return round(estimated_tokens * self._scale)

    def encoded(self, entry: Entry) -> bytes | None:
        """Return the model item of an entry of the history; None when it has none."""
        if isinstance(entry, Spoken):
            return entry.raw
        if entry not in self._made:
            self._made[entry] = _encoded(entry)
        return self._made[entry]

    def at(self, place: Place) -> bytes | None:
        """Return the model item at a place of what is shown."""
        if place < 0:
            return self._thread.added[~place]
        return self.encoded(self._thread.history[place])

    def _begin(self, cut: Cut) -> None:
        self._cut = cut
        self._items = [item for item in map(self.at, cut.base) if item is not None]
        self._tokens = [sum(map(item_tokens, self._items))]
        self._seen = cut.since

    def _append(self, item: bytes | None) -> None:
        tokens = 0
        if item is not None:
            self._items.append(item)
            tokens = item_tokens(item)
        self._tokens.append(self._tokens[-1] + tokens)


def _encoded(entry: Unanswered | TurnNote) -> bytes | None:
    if isinstance(entry, TurnNote):
        return turn_note(entry.why)
    why = "failed" if entry.why == "completed" else entry.why
    return missing_output(entry.call_id, entry.freeform, why, ran=entry.began)
