"""The history as a model is sent it: every entry encoded once, its bytes kept.

Only ever appended to, so each prompt's input extends the last one's and the provider's prompt
cache hits. The exception is a compaction: then the list begins anew, out of the same bytes. A call
that never got its output is given one here; the log is not patched.
"""

from __future__ import annotations

from octavo.context.outputs import missing_output, turn_note, undo_note
from octavo.context.tokens import item_tokens
from octavo.protocol.fold import Entry, Spoken, Thread, TurnNote, Unanswered, UndoNote
from octavo.protocol.view import Cut, Place

SCALE_LIMIT = 4.0
"""A provider that measures more than this many times the estimate is not believed."""


class _Shown:
    """What is shown under one cut.

    Attributes:
        items: model items, oldest first.
        seen: how much of the history they hold.
        tokens: what they are worth, by estimate: at the cut, and then after each entry of the
            history since.
    """

    __slots__ = ("items", "seen", "tokens")

    def __init__(self, items: list[bytes], seen: int) -> None:
        self.items = items
        self.seen = seen
        self.tokens = [sum(map(item_tokens, items))]


class Transcript:
    """The encoded history of one thread, as far as it is shown."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._under: dict[Cut, _Shown] = {}
        self._scale = 1.0
        """Measured tokens an estimated one."""
        self._made: dict[Entry, bytes | None] = {}

    def items(self) -> list[bytes]:
        """Return the model items so far, oldest first. The caller must not change the list."""
        return self._shown().items

    def tokens(self, besides_tokens: int) -> int:
        """Return about how many tokens a request with the items is.

        What the provider measured counts, and what came since is estimated.

        Args:
            besides_tokens: the estimate for what is sent beside the items.
        """
        tokens, cut = self._shown().tokens, self._thread.cut
        if not cut.covered_tokens:
            return self.scaled(besides_tokens + tokens[-1])
        covered = tokens[cut.covered - cut.since]
        scale = cut.covered_tokens / max(besides_tokens + covered, 1)
        self._scale = min(max(scale, 1.0), SCALE_LIMIT)
        return cut.covered_tokens + self.scaled(tokens[-1] - covered)

    def grown_tokens(self) -> int:
        """Return about how many tokens came since the last compaction, or the thread's start."""
        tokens = self._shown().tokens
        return tokens[-1] - tokens[0]

    def scaled(self, estimated_tokens: int) -> int:
        """Return an estimate, corrected by how far off the last one was."""
        return round(estimated_tokens * self._scale)

    def unscaled(self, tokens: int) -> int:
        """Return the estimate that would come out at `tokens`."""
        return round(tokens / self._scale)

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

    def _shown(self) -> _Shown:
        """What is shown now; what was shown under a cut is kept for when it is lifted."""
        cut, history = self._thread.cut, self._thread.history
        shown = self._under.get(cut)
        if shown is None:
            items = [item for item in map(self.at, cut.base) if item is not None]
            shown = self._under[cut] = _Shown(items, cut.since)
        if len(self._under) > len(self._thread.cuts):
            self._under = {one: self._under[one] for one in self._thread.cuts if one in self._under}
        for entry in history[shown.seen :] if shown.seen < len(history) else ():
            item = self.encoded(entry)
            tokens = 0
            if item is not None:
                shown.items.append(item)
                tokens = item_tokens(item)
            shown.tokens.append(shown.tokens[-1] + tokens)
        shown.seen = len(history)
        return shown


def _encoded(entry: Unanswered | TurnNote | UndoNote) -> bytes | None:
    if isinstance(entry, UndoNote):
        return undo_note(entry.paths)
    if isinstance(entry, TurnNote):
        return turn_note(entry.why)
    why = "failed" if entry.why == "completed" else entry.why
    return missing_output(entry.call_id, entry.freeform, why, ran=entry.began)
