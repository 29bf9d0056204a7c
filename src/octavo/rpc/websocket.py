"""Links over websockets: one frame a text message.

The words of that protocol are the library's (`websockets`, without its input and output), loaded
when somebody listens or connects. What is sent is never compressed. A message that is too long, or
no text, ends the connection with the reason in its close code, as the standard has it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import anyio
import anyio.lowlevel

from octavo.rpc import LinkClosed
from octavo.rpc.stream import MAX_FRAME_BYTES

if TYPE_CHECKING:
    import logging
    import socket

    import websockets.protocol
    from websockets.frames import Frame
    from websockets.http11 import Request

PING_S = 20.0
"""How often the other side is asked whether it is there, when nothing has come of it."""
DEAD_S = 60.0
"""How long nothing may come and nothing be taken before it is not."""
GOODBYE_S = 2.0
"""How long the other side has to answer a goodbye."""
_READ_BYTES = 1 << 16
_REASON_BYTES = 123

NORMAL, GOING_AWAY, TOO_SLOW, NO_TEXT = 1000, 1001, 1008, 1003
"""Close codes; RFC 6455, 7.4.1. One that breaks a rule (1008) is one that does not read."""


class Pipe(Protocol):
    """Bytes both ways.

    Attributes:
        moved_at: when some last came or went, by `time.monotonic`.
    """

    moved_at: float

    async def read(self) -> bytes:
        """Return what is there, at least a byte; nothing at the end."""

    async def write(self, data: bytes) -> None:
        """Send all of `data`. Raises LinkClosed."""

    def write_now(self, data: bytes) -> int:
        """Send what can be sent without waiting; return how many bytes that were."""

    def shut(self) -> None:
        """Send nothing more, and tell the other side so."""

    def close(self) -> None:
        """End both ways; who reads or writes is told."""


class SocketPipe:
    """Over a connected socket, which is the caller's to close."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self.moved_at = time.monotonic()

    async def read(self) -> bytes:
        while True:
            await anyio.wait_readable(self._socket)
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                return b""
            self.moved_at = time.monotonic()
            return data

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
                continue
            except OSError:
                raise LinkClosed from None
            self.moved_at = time.monotonic()

    def write_now(self, data: bytes) -> int:
        try:
            sent = self._socket.send(data)
        except OSError:  # it is full; or gone, which the next one to wait is told
            return 0
        self.moved_at = time.monotonic()
        return sent

    def shut(self) -> None:
        shut_socket(self._socket, 1)

    def close(self) -> None:
        shut_socket(self._socket, 2)


def shut_socket(connection: socket.socket, how: int) -> None:
    """End a connection: 1 is what is sent, 2 is both ways."""
    try:
        connection.shutdown(how)
    except OSError:  # it is gone already
        pass


class WebsocketLink:
    """Frames over an open websocket. Made by `accept`, or in `rpc.websocket_client`."""

    def __init__(self, words: websockets.protocol.Protocol, pipe: Pipe) -> None:
        self._words = words
        self._pipe = pipe
        self._pack = _packed if words.side == 0 else self._masked
        self._writing = anyio.Lock(fast_acquire=True)
        self._torn = False
        self._rest = b""
        """Of a message that was begun, what goes before anything else."""
        self._partial = bytearray()
        self._messages: deque[bytes] = deque()
        self._ended = False
        """No message will come or go."""
        self._eof = False

    async def send(self, frame: bytes) -> None:
        await self.send_all((frame,))

    async def send_all(self, frames: Sequence[bytes]) -> None:
        if self._ended:
            raise LinkClosed
        await self._write(self._pack(frames))

    def send_now(self, frame: bytes) -> bool | None:
        """Send a frame without waiting, if that can be done.

        Returns:
            True when it was sent; False when nothing of it was; None when the link has taken it,
            and sends what is left of it when it is next given something, were it nothing.
        """
        if self._ended or self._torn or self._rest or self._writing.locked():
            return False
        if self._pack is not _packed:  # a client's, which is masked with what else it has to say
            return False
        data = _head(len(frame)) + frame if frame else b""
        sent = self._pipe.write_now(data)
        if sent == len(data):
            return True
        if not sent:
            return False
        self._rest = data[sent:]
        return None

    async def receive(self) -> bytes:
        await anyio.lowlevel.checkpoint()  # however much has come, others get their turn
        while not self._messages:
            if self._ended:
                raise LinkClosed
            await self._read()
        return self._messages.popleft()

    def close(self) -> None:
        self._ended = True
        self._pipe.close()

    async def keep_alive(self, *, ping_s: float = PING_S, dead_s: float = DEAD_S) -> None:
        """Ask the other side now and then whether it is there; returns when it is not.

        Args:
            ping_s: how long nothing comes and nothing is taken before it is asked.
            dead_s: how long before it is not there.
        """
        while True:
            quiet_s = time.monotonic() - self._pipe.moved_at
            if quiet_s >= dead_s:
                return
            if quiet_s >= ping_s and not self._writing.locked() and not self._ended:
                asked_at = self._pipe.moved_at
                self._words.send_ping(b"")
                await self._flush()
                self._pipe.moved_at = asked_at  # a question is no sign of life
            await anyio.sleep(ping_s if quiet_s >= ping_s else ping_s - quiet_s)

    async def end(self, code: int, reason: str = "") -> None:
        """Say goodbye, and wait a little for the other side's."""
        with anyio.move_on_after(GOODBYE_S, shield=True):
            if not self._ended and not self._torn:
                self._words.send_close(code, _short(reason))
                self._ended = True
                await self._flush()
            while not self._eof:  # closed before that, it might lose the goodbye
                await self._read()
                self._messages.clear()
        self.close()

    async def _read(self) -> None:
        data = await self._pipe.read()
        if data:
            self._words.receive_data(data)
        else:
            self._words.receive_eof()
            self._ended = self._eof = True
        self.take()
        await self._flush()

    def take(self) -> None:
        """Take out of the words what has come."""
        for frame in self._words.events_received():
            self._take(frame)  # type: ignore[arg-type]  # after the introduction there are only frames
        if self._words.state != 1:  # no longer open: a goodbye came, or a rule was broken
            self._ended = True

    def _take(self, frame: Frame) -> None:
        match frame.opcode:
            case 0x1 | 0x0:
                self._partial += frame.data
                if frame.fin:
                    self._messages.append(bytes(self._partial))
                    self._partial = bytearray()
            case 0x2:
                self._words.fail(NO_TEXT, "messages are text")
            case _:
                pass

    async def _flush(self) -> None:
        pieces = self._words.data_to_send()
        try:
            if data := b"".join(pieces):
                await self._write(data)
        except LinkClosed:
            self._ended = self._eof = True
        if b"" in pieces:  # how the library says that this was all
            self._pipe.shut()

    async def _write(self, data: bytes) -> None:
        async with self._writing:
            if self._torn:
                raise LinkClosed
            self._torn = True  # cut off in the middle, nothing can follow
            data, self._rest = self._rest + data, b""
            await self._pipe.write(data)
            self._torn = False

    def _masked(self, frames: Sequence[bytes]) -> bytes:
        for frame in frames:
            self._words.send_text(frame)
        return b"".join(self._words.data_to_send())


def _packed(frames: Sequence[bytes]) -> bytes:
    """Text messages of a server, as they are on the wire; RFC 6455, 5.2. Empty ones are none.

    Not by the library: the same event goes to hundreds of clients.
    """
    pieces: list[bytes] = []
    for frame in frames:
        if frame:
            pieces += (_head(len(frame)), frame)
    return b"".join(pieces)


def _head(size: int) -> bytes:
    """What stands before a text message of so many bytes."""
    if size < 126:
        return bytes((0x81, size))
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")


def _short(reason: str) -> str:
    return reason.encode()[:_REASON_BYTES].decode(errors="ignore")


class Hello(NamedTuple):
    """How a client introduces itself, before anything of it is believed."""

    path: str
    hosts: Sequence[str]
    origins: Sequence[str]
    authorizations: Sequence[str]


class Reply(NamedTuple):
    """An answer in HTTP, after which the connection is closed."""

    status: int
    text: str


async def accept(
    pipe: Pipe, admit: Callable[[Hello], Reply | None], *, limit_bytes: int = MAX_FRAME_BYTES
) -> WebsocketLink | None:
    """Answer a client's introduction.

    Args:
        admit: what it is answered in place of a websocket, if anything.
        limit_bytes: of one message.

    Returns:
        The link; None when there is none, and the client has been told.

    Raises:
        LinkClosed: it went.
    """
    from websockets.server import ServerProtocol

    words = ServerProtocol(max_size=limit_bytes, logger=silence())
    while not (events := words.events_received()):
        data = await pipe.read()
        if not data:
            raise LinkClosed
        words.receive_data(data)
        if words.handshake_exc is not None:
            await pipe.write(b"".join(words.data_to_send()))
            return None
    request: Request = events[0]  # type: ignore[assignment]  # the first event of a server
    hello = Hello(
        request.path,
        request.headers.get_all("Host"),
        request.headers.get_all("Origin"),
        request.headers.get_all("Authorization"),
    )
    refusal = admit(hello)
    response = words.reject(*refusal) if refusal is not None else words.accept(request)
    words.send_response(response)
    await pipe.write(b"".join(words.data_to_send()))
    if response.status_code != 101:
        return None
    words.events[:0] = events[1:]
    link = WebsocketLink(words, pipe)
    link.take()
    return link


def is_installed() -> bool:
    """Whether the library is there: it is an extra of octavo's, `octavo[ws]`."""
    from importlib.util import find_spec

    return find_spec("websockets") is not None


def silence() -> logging.Logger:
    """A log for the library that keeps nothing; what it finds wrong is told to the other side."""
    import logging

    return logging.Logger("octavo.websocket", logging.CRITICAL + 1)
