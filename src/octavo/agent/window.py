"""How full a model's window is, and when something has to be done about it.

Light, as it is asked before every request; what is then done is in `compaction`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from octavo.agent.transcript import Transcript
from octavo.context.tokens import estimate_tokens
from octavo.protocol.fold import Thread

HELD_PERCENT = 98
"""Of the window: after somebody undid a compaction, the next one waits until there is no more."""


class Limits(msgspec.Struct, frozen=True):
    """Of one model, in tokens.

    Attributes:
        window: what it reads at all.
        compact_at: from here on a thread is compacted.
    """

    window: int
    compact_at: int

    @classmethod
    def of(cls, window: int, limit: int | None, percent: int) -> Limits:
        """Return the limits for a `window`, with the settings of the person."""
        at = window * percent // 100 if limit is None else min(limit, window)
        return cls(window, max(1, at))


class Window:
    """The window of one model as a thread fills it.

    Args:
        tools: the bytes of the tools as they are declared now.
        model: the model and its provider.
    """

    def __init__(
        self,
        thread: Thread,
        transcript: Transcript,
        limits: Limits,
        tools: Callable[[], bytes],
        model: tuple[str, str],
    ) -> None:
        self.limits = limits
        self.model = model
        self._thread = thread
        self._transcript = transcript
        self._tools = tools

    def used_tokens(self) -> int:
        """Return about how many tokens the next request is."""
        return self._transcript.tokens(self.tools_tokens())

    def tools_tokens(self) -> int:
        """Return about how many tokens the declarations of the tools are."""
        return estimate_tokens(len(self._tools()))

    def is_full(self) -> bool:
        """Whether the thread is to be compacted before the next request."""
        limits, cut = self.limits, self._thread.cut
        at = limits.window * HELD_PERCENT // 100 if cut.held else limits.compact_at
        return self.used_tokens() >= at

    def is_foreign(self) -> bool:
        """Whether the thread holds a summary that only another model can read."""
        made = self._thread.cut.summary
        if made is None or made.kind != "remote":
            return False
        return (made.model, made.provider) != self.model
