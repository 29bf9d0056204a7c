"""Output shown while it is being produced, at a pace that eyes can follow.

The first piece is shown at once, later ones together a few times a second, and of a flood only the
latest: the model's view and the kept file have all of it.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from octavo.tools.plain import Plain

_PAUSE_S = 0.1
_PIECE_BYTES = 8 << 10


class Progress:
    """Paces what it passes on to `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._plain = Plain()
        self._pending = bytearray()
        self._pausing: anyio.CancelScope | None = None
        self._shown_at_s = -_PAUSE_S

    def show(self, data: bytes, group: TaskGroup) -> None:
        """Show `data`, now or soon; `group` is where the pause is waited for."""
        self._pending += data[-_PIECE_BYTES:]
        if len(self._pending) > _PIECE_BYTES:
            del self._pending[:-_PIECE_BYTES]
            self._plain = Plain()
        if self._pausing is not None:
            return
        wait_s = self._shown_at_s + _PAUSE_S - anyio.current_time()
        if wait_s <= 0:
            self.flush()
        else:
            self._pausing = anyio.CancelScope()
            group.start_soon(self._pause, self._pausing, wait_s)

    def stop(self) -> None:
        """Stop waiting; what is pending can still be flushed."""
        if self._pausing is not None:
            self._pausing.cancel()

    def flush(self) -> None:
        """Show what is pending."""
        text = self._plain.feed(bytes(self._pending))
        self._pending.clear()
        if text:
            self._shown_at_s = anyio.current_time()
            self._show(text)

    async def _pause(self, scope: anyio.CancelScope, wait_s: float) -> None:
        with scope:
            await anyio.sleep(wait_s)
        self._pausing = None
        if not scope.cancelled_caught:
            self.flush()
