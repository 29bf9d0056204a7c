"""Copying between descriptors, several ways at once, without an event loop.

A `Way` reads only when what it read before is written, so a slow reader holds up its writer and
nobody else. `turn` does what can be done now; whoever calls it waits with the poll that it fills.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable

_COPY_BYTES = 64 * 1024
_TRICKLE_BYTES = 4096
"""What anything takes at once that says it can be written to."""
_IN, _OUT, _OVER = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL


class Way:
    """From one descriptor to another, neither of which it closes.

    Args:
        source: where to read; its end, or an error, is the way's end.
        sink: where to write; when nobody reads there any more, that is the way's end as well, or,
            with `drains`, what is still read is thrown away.
        may_read: says whether the source may be read now.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        *,
        drains: bool = False,
        may_read: Callable[[], bool] | None = None,
    ) -> None:
        self.source, self.sink = source, sink
        self.over = False
        self._drains = drains
        self._may_read = may_read
        self._held = memoryview(b"")
        self._lost = False
        is_file = stat.S_ISREG(os.fstat(sink).st_mode)
        self._at_once = None if is_file else _TRICKLE_BYTES

    @property
    def reads(self) -> bool:
        """Whether it waits for the source; else for the sink."""
        return not self._held

    def wants(self, poll: dict[int, int]) -> None:
        """Add what it waits for."""
        if self.over:
            return
        if self._held:
            poll[self.sink] = poll.get(self.sink, 0) | _OUT
        elif self._may_read is None or self._may_read():
            poll[self.source] = poll.get(self.source, 0) | _IN

    def turn(self, ready: dict[int, int]) -> None:
        """Do what can be done."""
        if self.over:
            return
        if self._held:
            if ready.get(self.sink, 0) & (_OUT | _OVER):
                self._write()
        elif ready.get(self.source, 0) & (_IN | _OVER):
            self._read()

    def _read(self) -> None:
        try:
            data = os.read(self.source, _COPY_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.over = True
        elif not self._lost:
            self._held = memoryview(data)

    def _write(self) -> None:
        try:
            self._held = self._held[os.write(self.sink, self._held[: self._at_once]) :]
        except BlockingIOError:
            return
        except OSError:
            self._held = memoryview(b"")
            self._lost = True
            self.over = not self._drains


def wait(wanted: dict[int, int], timeout_s: float | None) -> dict[int, int]:
    """Wait until something that is wanted can be done; return what."""
    poll = select.poll()
    for fd, events in wanted.items():
        poll.register(fd, events)
    return dict(poll.poll(None if timeout_s is None else timeout_s * 1000))
