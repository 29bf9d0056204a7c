"""What the server has to say to one client, in one order, whether or not the client reads.

Everything goes through it: answers, notifications, questions. So an answer that tells the state of
a thread and the events after it reach the client in the order they have. Nothing that happens in a
thread ever waits for a client: a client that is behind is first not listened to any more, and cut
off when it is too far behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import anyio

from octavo.rpc import Link, LinkClosed

LISTEN_BELOW_BYTES = 1 << 20
"""With more than this unread, nothing more is taken from the client."""
CUT_OFF_BYTES = 64 << 20
_BATCH_BYTES = 1 << 18


class Outbox:
    """A link whose `send` never waits, over one whose does.

    Attributes:
        dropped: why the client was cut off, as a sentence; None as long as it was not.
    """

    def __init__(
        self, link: Link, cut_off_bytes: int | None, on_drop: Callable[[str], bytes]
    ) -> None:
        """
        Args:
            cut_off_bytes: None for a client that may be as far behind as it likes.
            on_drop: told why the client was cut off; what it returns is the last that is sent.
        """
        self._link = link
        self._cut_off_bytes = cut_off_bytes
        self._on_drop = on_drop
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._send_now: Callable[[bytes], bool | None] | None = getattr(link, "send_now", None)
        self._closed = False
        self._news: anyio.Event | None = None
        """Set when there is something to send; None while nobody waits for that."""
        self._sent: anyio.Event | None = None
        """Set when something was sent; None while nobody waits for that."""
        self.dropped: str | None = None

    def post(self, frame: bytes) -> None:
        """Have `frame` sent after all that was posted before it."""
        if self._closed:
            return
        if self._send_now is not None and self._news is not None and not self._frames:
            # Nothing is waiting: to send it here costs half of what it costs to wake `run`.
            sent = self._send_now(frame)
            if sent:
                return
            if sent is None:
                frame = b""  # the link has it, and is to be given something once it can be sent
        self._frames.append(frame)
        self._bytes += len(frame)
        if self._news is not None:
            self._news.set()
        if self._cut_off_bytes is not None and self._bytes > self._cut_off_bytes:
            self._drop()

    @property
    def is_behind(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._frames)

    def _drop(self) -> None:
        self.dropped = (
            f"The client did not read what it was sent: {self._bytes >> 20} MiB in "
            f"{len(self._frames)} messages were waiting for it."
        )
        self._frames.clear()
        self._frames.append(self._on_drop(self.dropped))
        self.shut()

    def shut(self) -> None:
        """Take nothing more in; what is there is still sent."""
        self._closed = True
        if self._news is not None:
            self._news.set()
        self._tell_sent()

    async def send(self, frame: bytes) -> None:
        if self._closed:
            raise LinkClosed
        self.post(frame)

    async def send_all(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            await self.send(frame)

    async def receive(self) -> bytes:
        await self.room()
        return await self._link.receive()

    async def room(self) -> None:
        """Wait until little enough is unread that more may be said without need."""
        while self._bytes > LISTEN_BELOW_BYTES and not self._closed:
            if self._sent is None:
                self._sent = anyio.Event()
            await self._sent.wait()

    def close(self) -> None:
        self.shut()
        self._link.close()

    async def run(self) -> None:
        """Send what is posted, until it is shut and all is sent, or the other side is gone."""
        while True:
            while self._frames:
                batch = self._take()
                try:
                    await self._link.send_all(batch)
                except LinkClosed:
                    self.shut()
                    self._frames.clear()
                    self._tell_sent()
                    return
                self._bytes -= sum(map(len, batch))
                self._tell_sent()
            if self._closed:
                return
            self._news = anyio.Event()
            await self._news.wait()
            self._news = None

    def _tell_sent(self) -> None:
        if self._sent is not None:
            self._sent.set()
            self._sent = None

    def _take(self) -> list[bytes]:
        batch, size = [], 0
        while self._frames and size < _BATCH_BYTES:
            size += len(self._frames[0])
            batch.append(self._frames.popleft())
        return batch
