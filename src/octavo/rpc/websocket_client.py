"""The client's end of a websocket, with TLS where the address says so."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.abc

from octavo.rpc import LinkClosed
from octavo.rpc.stream import MAX_FRAME_BYTES
from octavo.rpc.websocket import NORMAL, WebsocketLink, shut_socket, silence

if TYPE_CHECKING:
    from websockets.http11 import Response

CONNECT_S = 10.0


class Refused(Exception):
    """The server answered, and gave no websocket.

    Attributes:
        status: what it answered, in HTTP; 0 for no HTTP at all.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


class _StreamPipe:
    """Over a stream of anyio's, which may be encrypted."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream
        self.moved_at = time.monotonic()

    async def read(self) -> bytes:
        try:
            data = await self._stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return b""
        self.moved_at = time.monotonic()
        return data

    async def write(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise LinkClosed from None
        self.moved_at = time.monotonic()

    def write_now(self, data: bytes) -> int:
        return 0

    def shut(self) -> None:
        shut_socket(self._stream.extra(anyio.abc.SocketAttribute.raw_socket), 1)

    def close(self) -> None:
        shut_socket(self._stream.extra(anyio.abc.SocketAttribute.raw_socket), 2)


@asynccontextmanager
async def open_websocket(
    url: str, *, token: str | None = None, limit_bytes: int = MAX_FRAME_BYTES
) -> AsyncIterator[WebsocketLink]:
    """A link to the server at `url` (ws:// or wss://), while the context lasts.

    Raises:
        OSError: nobody answers there.
        Refused: who answers does not want this client, or is no such server.
    """
    from websockets.client import ClientProtocol
    from websockets.uri import parse_uri

    where = parse_uri(url)
    words = ClientProtocol(where, max_size=limit_bytes, logger=silence())
    stream: anyio.abc.ByteStream
    with anyio.fail_after(CONNECT_S):
        if where.secure:
            stream = await anyio.connect_tcp(where.host, where.port, tls=True)
        else:
            stream = await anyio.connect_tcp(where.host, where.port)
    try:
        pipe = _StreamPipe(stream)
        request = words.connect()
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        with anyio.fail_after(CONNECT_S):
            words.send_request(request)
            await pipe.write(b"".join(words.data_to_send()))
            while not (events := words.events_received()):
                data = await pipe.read()
                if data:
                    words.receive_data(data)
                else:
                    words.receive_eof()
                    events = words.events_received()
                    break
        response: Response | None = events[0] if events else None  # type: ignore[assignment]  # of a client
        if response is None or words.handshake_exc is not None:
            said = (response.body or b"").decode(errors="replace").strip() if response else ""
            raise Refused(response.status_code if response else 0, said)
        words.events[:0] = events[1:]
        link = WebsocketLink(words, pipe)
        link.take()
        async with anyio.create_task_group() as group:
            group.start_soon(_keep_alive, link)
            try:
                yield link
            finally:
                await link.end(NORMAL)
                group.cancel_scope.cancel()
    finally:
        await anyio.aclose_forcefully(stream)


async def _keep_alive(link: WebsocketLink) -> None:
    await link.keep_alive()
    link.close()
