"""One end of a connection: a non-blocking socket, what was read ahead, and fast copying.

All copying of one server goes through one buffer: between reading into it and sending from it
nothing else runs, so thousands of connections cost one buffer, and only what a slow reader has not
taken is kept for it.
"""

from __future__ import annotations

import socket
import time

import anyio
import anyio.lowlevel

COPY_BYTES = 512 * 1024
READ_BYTES = 64 * 1024
TURNS = 4
"""Copies made before others get their turn."""


class Ended(Exception):
    """The other side closed where something had to follow."""


class Malformed(Exception):
    """What was said makes no sense, or could be read in two ways; `str` says why."""


class Line:
    """What the two wires of a connection share: the copy buffer, and when anything last moved."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.moved_at = time.monotonic()


class Wire:
    """Owns its socket. Waiting can be cancelled anywhere; what was read ahead is kept."""

    def __init__(self, sock: socket.socket, line: Line) -> None:
        self.sock = sock
        self.line = line
        self.ahead = bytearray()
        """Read, and not yet used."""

    async def fill(self, limit_bytes: int) -> bool:
        """Read more into `ahead`; False at the end.

        Raises:
            Malformed: `ahead` is already longer than the limit.
        """
        if len(self.ahead) >= limit_bytes:
            raise Malformed(f"it is longer than {limit_bytes} bytes")
        while True:
            try:
                data = self.sock.recv(READ_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self.sock)
                continue
            self.line.moved_at = time.monotonic()
            self.ahead += data
            return bool(data)

    async def need(self, count: int, limit_bytes: int = READ_BYTES) -> None:
        """Read until `ahead` has `count` bytes. Raises Ended."""
        while len(self.ahead) < count:
            if not await self.fill(limit_bytes):
                raise Ended

    async def until(self, mark: bytes, limit_bytes: int) -> bytes:
        """Take everything up to and with `mark`. Raises Ended, Malformed."""
        searched = 0
        while (at := self.ahead.find(mark, searched)) < 0:
            searched = max(0, len(self.ahead) - len(mark) + 1)
            if not await self.fill(limit_bytes):
                raise Ended
        return self.take(at + len(mark))

    def take(self, count: int) -> bytes:
        """Take `count` bytes of what was read ahead."""
        data = bytes(self.ahead[:count])
        del self.ahead[:count]
        return data

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it. Raises OSError when nobody is there any more."""
        with memoryview(data) as whole:
            sent = 0
            while sent < len(whole):
                try:
                    sent += self.sock.send(whole[sent:])
                except BlockingIOError:
                    await anyio.wait_writable(self.sock)
                    continue
                self.line.moved_at = time.monotonic()

    async def pour(self, sink: Wire, count: int | None = None) -> None:
        """Pass on `count` bytes, or all until the end.

        Raises:
            Ended: there were fewer.
            OSError: one of the two is gone.
        """
        if self.ahead and count != 0:
            first = self.take(len(self.ahead) if count is None else min(count, len(self.ahead)))
            await sink.send(first)
            count = None if count is None else count - len(first)
        turns = 0
        while count is None or count > 0:
            room = self.line.buffer
            try:
                size = self.sock.recv_into(
                    room, len(room) if count is None else min(count, len(room))
                )
            except BlockingIOError:
                await anyio.wait_readable(self.sock)
                turns = 0
                continue
            if not size:
                if count is None:
                    return
                raise Ended
            count = None if count is None else count - size
            await sink.send_now(room[:size])
            turns += 1
            if turns == TURNS:
                turns = 0
                await anyio.lowlevel.checkpoint()

    async def send_now(self, data: memoryview) -> None:
        """Send from the shared buffer; what cannot be sent at once is copied out of it."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        self.line.moved_at = time.monotonic()
        if sent < len(data):
            await self.send(bytes(data[sent:]))

    def end(self) -> None:
        """Say that nothing more is coming."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.sock.close()


async def splice(one: Wire, other: Wire) -> None:
    """Pass everything on in both directions until both have ended, or one is gone."""
    async with anyio.create_task_group() as group:

        async def pass_on(source: Wire, sink: Wire) -> None:
            try:
                await source.pour(sink)
            except OSError:
                group.cancel_scope.cancel()
            sink.end()

        group.start_soon(pass_on, other, one)
        await pass_on(one, other)
