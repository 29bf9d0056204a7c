"""Output shown while it is being produced, at a pace that eyes can follow.

The first piece is shown at once, later ones together a few times a second. Of a flood the beginning
and the latest are shown, in whole lines, and a line between says how many are not: the model's view
and the kept file have all of them.
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
        self._left_out = 0
        self._began = False
        self._in_line = False
        self._pausing: anyio.CancelScope | None = None
        self._shown_at_s = -_PAUSE_S

    def show(self, data: bytes, group: TaskGroup) -> None:
        """Show `data`, now or soon; `group` is where the pause is waited for."""
        if not self._began and len(data) > _PIECE_BYTES:
            head = data.rfind(b"\n", 0, _PIECE_BYTES) + 1 or _PIECE_BYTES
            self._pending += data[:head]
            data = data[head:]
            self.flush()
        self._pending += data
        if len(self._pending) > _PIECE_BYTES:
            self._leave_out()
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
        if text and self._left_out:
            from octavo.protocol.gaps import gap

            line_end = "\n" if self._in_line else ""
            text = f"{line_end}{gap(self._left_out)}\n{text}"
            self._left_out = 0
        if text:
            self._began = True
            self._in_line = not text.endswith("\n")
            self._shown_at_s = anyio.current_time()
            self._show(text)

    def _leave_out(self) -> None:
        """Keep only the latest of what is pending: whole lines, if there is an end of one."""
        at = len(self._pending) - _PIECE_BYTES
        line = self._pending.find(b"\n", at) + 1
        at = line if 0 < line < len(self._pending) else at
        self._left_out += self._pending.count(b"\n", 0, at)
        del self._pending[:at]
        self._plain = Plain()

    async def _pause(self, scope: anyio.CancelScope, wait_s: float) -> None:
        with scope:
            await anyio.sleep(wait_s)
        self._pausing = None
        if not scope.cancelled_caught:
            self.flush()
