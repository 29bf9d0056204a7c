"""Names for threads, turns and items: UUIDs of version 7, which sort by the time they were made."""

from __future__ import annotations

import os
import time

_TICKS_PER_MS = 4096
"""Twelve bits of every id count parts of a millisecond."""


class _Clock:
    """Ticks that only go forward, also when the computer's clock is set back."""

    def __init__(self) -> None:
        self._last = 0

    def tick(self) -> int:
        now = time.time_ns() * _TICKS_PER_MS // 1_000_000
        self._last = tick = max(now, self._last + 1)
        return tick


_CLOCK = _Clock()  # one a process, so that ids made by any two parts of it still sort


def new_id() -> str:
    """Return a new id, later in sort order than every id this process made before."""
    ms, part = divmod(_CLOCK.tick(), _TICKS_PER_MS)
    chance = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    text = f"{ms << 80 | 7 << 76 | part << 64 | 2 << 62 | chance:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
