"""Links over pipes and sockets: one frame a line.

A frame is a line of JSON, as the app-server speaks over standard input and output. Nothing here
waits in a system call: a reader that is slow makes its sender wait, and nobody else. A line that is
too long is passed over without being kept, and the ones after it are read as ever.
"""

from __future__ import annotations

import os
import select
import stat
from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from octavo.rpc import FrameTooLong, LinkClosed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

MAX_FRAME_BYTES = 64 << 20
"""Of one line; an image of 20 MB inside a message has room in it."""
_READ_BYTES = 1 << 18


class LineDecoder:
    """Cuts what arrives into lines.

    Empty lines are nothing. A line of more than `limit_bytes` is reported once, as None, however
    long it goes on, and takes no memory meanwhile.
    """

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Return the lines that `data` completes, without their ends."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes | None] = []
        for piece in ended:
            self._add(piece, lines)
            if not self._skipping and (line := bytes(self._partial).strip()):
                lines.append(line)
            self._partial.clear()
            self._skipping = False
        self._add(rest, lines)
        return lines

    def end(self) -> list[bytes | None]:
        """Return what came last, if it lacks only the end of its line."""
        return self.feed(b"\n")

    def _add(self, piece: bytes, lines: list[bytes | None]) -> None:
        if self._skipping:
            return
        if len(self._partial) + len(piece) > self._limit_bytes:
            self._skipping = True
            self._partial = bytearray()
            lines.append(None)
            return
        self._partial += piece


class StreamLink:
    """Frames over two descriptors, which are the caller's to close after `close`.

    When the other side has ended its output, `receive` raises LinkClosed and `send` still works.
    """

    def __init__(self, into: int, out: int, *, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._in = into
        self._write = _writer(out)
        self._decoder = LineDecoder(limit_bytes)
        self._lines: deque[bytes | None] = deque()
        self._can_wait = True
        self._ended = False
        self._closed = False

    async def send(self, frame: bytes) -> None:
        await self.send_all((frame,))

    async def send_all(self, frames: Sequence[bytes]) -> None:
        if self._closed:
            raise LinkClosed
        await self._write(memoryview(b"\n".join(frames) + b"\n"))

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()  # however much has come, others get their turn
        while not self._lines:
            if self._ended or self._closed:
                raise LinkClosed
            data = await self._read()
            self._lines.extend(self._decoder.feed(data) if data else self._decoder.end())
            self._ended = not data
        line = self._lines.popleft()
        if line is None:
            raise FrameTooLong
        return line

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._write.close()

    async def _read(self) -> bytes:
        """Return what is there, at least a byte; nothing at the end."""
        while True:
            try:
                if self._can_wait:
                    await anyio.wait_readable(self._in)
            except PermissionError:  # a file, which never keeps anybody waiting
                self._can_wait = False
            try:
                return os.read(self._in, _READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:  # the other side is gone, and with it what it had not said
                return b""


def socket_link(connection: socket.socket) -> StreamLink:
    """A link over a connected socket, which is the caller's to close after it."""
    return StreamLink(connection.fileno(), connection.fileno())


class _Writer:
    """Writes to a descriptor without ever waiting in a system call."""

    def __init__(self, fd: int, at_most: int | None = None, *, owned: bool = False) -> None:
        self._fd = fd
        self._at_most = at_most
        self._owned = owned

    async def __call__(self, data: memoryview) -> None:
        while data:
            try:
                if self._at_most is not None:
                    await anyio.wait_writable(self._fd)
                data = data[self._some(data[: self._at_most]) :]
            except BlockingIOError:
                await anyio.wait_writable(self._fd)
            except OSError:
                raise LinkClosed from None

    def close(self) -> None:
        if self._owned:
            os.close(self._fd)

    def _some(self, data: memoryview) -> int:
        return os.write(self._fd, data)


class _SocketWriter(_Writer):
    """Its descriptor may be shared, so it is not made non-blocking: each call says so instead."""

    def __init__(self, fd: int) -> None:
        import socket

        super().__init__(fd)
        self._socket = socket.socket(fileno=os.dup(fd))
        self._flags = socket.MSG_DONTWAIT

    def close(self) -> None:
        self._socket.close()

    def _some(self, data: memoryview) -> int:
        return self._socket.send(data, self._flags)


def _writer(fd: int) -> _Writer:
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        return _SocketWriter(fd)
    if not stat.S_ISFIFO(mode):
        return _Writer(fd)  # a file or a terminal
    try:  # an opening of our own, as others may hold the same one and want it to block
        return _Writer(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK), owned=True)
    except OSError:
        return _Writer(fd, at_most=select.PIPE_BUF)  # as much as fits when any does
