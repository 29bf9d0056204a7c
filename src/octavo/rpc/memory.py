"""A link inside one process: two queues of frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio

from octavo.rpc import LinkClosed

MAX_FRAMES_BEHIND = 1024
"""How far a receiver may fall behind before its sender waits."""


class _Queue:
    """One direction: frames in, frames out, in order, at most MAX_FRAMES_BEHIND between."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.closed = False
        self._changed: anyio.Event | None = None
        """Set when there is room, or something to take; None while nobody waits."""

    def wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    async def put(self, frame: bytes) -> None:
        while len(self.frames) >= MAX_FRAMES_BEHIND and not self.closed:
            await self._change()
        if self.closed:
            raise LinkClosed
        self.frames.append(frame)
        if len(self.frames) == 1:
            self.wake()

    async def get(self) -> bytes:
        while not self.frames:
            if self.closed:
                raise LinkClosed
            await self._change()
        frame = self.frames.popleft()
        if len(self.frames) == MAX_FRAMES_BEHIND - 1:
            self.wake()
        return frame

    def close(self) -> None:
        self.closed = True
        self.wake()


class MemoryLink:
    """One end of a pair; see `memory_pair`."""

    def __init__(self, out: _Queue, into: _Queue) -> None:
        self._out = out
        self._into = into

    async def send(self, frame: bytes) -> None:
        await self._out.put(frame)

    async def send_all(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            await self._out.put(frame)

    async def receive(self) -> bytes:
        return await self._into.get()

    def close(self) -> None:
        self._out.close()
        self._into.close()


def memory_pair() -> tuple[MemoryLink, MemoryLink]:
    """Two ends of one link."""
    there, back = _Queue(), _Queue()
    return MemoryLink(there, back), MemoryLink(back, there)
