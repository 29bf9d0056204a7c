"""One client of the scripted model: HTTP/1.1 as far as models need it, and the faults of a script.

The event loop tells of bytes and of the end, so the moment a client lets go is known exactly; one
task reads the requests and writes the replies, in turn.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Protocol

from octavo.trial.answers import Answer
from octavo.trial.wire import stream_of
from octavo.trial.wire_chat import chunks_of
from octavo.trial.wire_messages import message_events_of

_MAX_HEAD_BYTES = 64 * 1024
_WIRES = {
    "/responses": stream_of,
    "/chat/completions": chunks_of,
    "/messages": message_events_of,
}
"""What speaks at the end of which address."""
_OPEN = 1 << 40
"""More permits than any reply has events."""


class Received:
    """One request, and what became of it. Times are of `time.monotonic`.

    Attributes:
        number: 1 for the first request for an answer; 0 for anything else (a list of models).
        arrived_at: when its last byte was read.
        replied_at: when the last byte of the reply was written; None if it never was.
        closed_at: when the client closed the connection; None while it is open.
    """

    def __init__(
        self, number: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.number = number
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.arrived_at = time.monotonic()
        self.replied_at: float | None = None
        self.closed_at: float | None = None
        self.events_sent = 0
        self._allowed = 0
        self._let = asyncio.Event()

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)

    def let(self, events: int = _OPEN) -> None:
        """Let a stalled reply go on for so many events."""
        self._allowed += events
        self._let.set()

    async def permit(self) -> None:
        """Wait until the next event may be sent, and use the permit up."""
        while not self._allowed:
            self._let.clear()
            await self._let.wait()
        self._allowed -= 1


class Host(Protocol):
    """What a connection needs of the server it belongs to."""

    requests: list[Received]
    other_requests: list[Received]
    models: Sequence[str]
    wires: Collection[str]

    def answer_to(self, received: Received) -> Answer:
        """Return what the script says."""

    def opened(self, connection: Connection) -> None:
        """A client has connected."""

    def closed(self, connection: Connection) -> None:
        """A client is gone."""

    def done(self, received: Received) -> None:
        """A reply has ended, in whatever way."""

    def changed(self) -> None:
        """Something happened that a test may wait for."""


class Connection(asyncio.Protocol):
    """One client. The loop tells of bytes and of the end; one task reads and replies."""

    def __init__(self, server: Host) -> None:
        self._server = server
        self._buffer = bytearray()
        self._fresh = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._current: Received | None = None
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None]

    # What the loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._task = asyncio.get_running_loop().create_task(self._talk())
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._fresh.set()

    def eof_received(self) -> bool:
        self._closed_by_client()
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closed_by_client()
        self._task.cancel()
        self._server.closed(self)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def abort(self) -> asyncio.Task[None]:
        """Drop the client; the task returned ends at once."""
        self._transport.abort()
        self._task.cancel()
        return self._task

    def _closed_by_client(self) -> None:
        current = self._current
        if current is not None and current.closed_at is None:
            current.closed_at = time.monotonic()
            self._server.changed()

    # Reading.

    async def _talk(self) -> None:
        try:
            while True:
                received = await self._read_request()
                self._current = received
                try:
                    go_on = await self._reply(received)
                finally:
                    self._server.done(received)
                if not go_on:
                    return
        except (_BadRequestError, ValueError) as bad:
            await self._write_plain(400, {}, str(bad).encode())
        finally:
            self._transport.close()

    async def _read_request(self) -> Received:
        head = await self._read_head()
        self._current = None
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        path, _, version = rest.rpartition(" ")
        if not version.startswith("HTTP/1."):
            raise _BadRequestError("not an HTTP/1 request")
        headers: dict[str, str] = {}
        for field in fields:
            name, _, value = field.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            await self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await self._read_body(headers)
        asks = method == "POST" and self._wire(path) is not None
        number = len(self._server.requests) + 1 if asks else 0
        received = Received(number, method, path, headers, body)
        (self._server.requests if asks else self._server.other_requests).append(received)
        self._server.changed()
        return received

    async def _read_head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise _BadRequestError("the head of the request is too long")
            await self._more()
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return head

    async def _read_body(self, headers: dict[str, str]) -> bytes:
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return await self._take(int(headers.get("content-length", "0")))
        body = bytearray()
        while size := int((await self._line()).partition(b";")[0], 16):
            body += await self._take(size)
            await self._line()
        while await self._line():
            pass
        return bytes(body)

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._more()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _more(self) -> None:
        self._fresh.clear()
        await self._fresh.wait()

    # Replying.

    async def _reply(self, received: Received) -> bool:
        """Reply, and say whether the connection stays open."""
        stays = received.headers.get("connection", "").lower() != "close"
        if not received.number:
            await self._write_plain(*self._other(received))
            return stays
        chosen = self._server.answer_to(received)
        if chosen.delay_s:
            await asyncio.sleep(chosen.delay_s)
        if chosen.close_before_headers:
            return False
        if chosen.body is not None:
            await self._write_plain(chosen.status, chosen.headers, chosen.body.encode())
        elif not await self._write_stream(received, chosen):
            return False
        received.replied_at = time.monotonic()
        return stays

    def _wire(self, path: str) -> Callable[[Answer, int, str], Iterator[bytes]] | None:
        """Return what answers at `path`; None where no answer can be asked for."""
        place = path.partition("?")[0]
        return next(
            (
                speak
                for end, speak in _WIRES.items()
                if place.endswith(end) and end[1:] in self._server.wires
            ),
            None,
        )

    def _other(self, received: Received) -> tuple[int, dict[str, str], bytes]:
        path = received.path.partition("?")[0]
        if received.method == "GET" and path.endswith("/models"):
            data = [{"id": name, "object": "model"} for name in self._server.models]
            return 200, {}, json.dumps({"object": "list", "data": data}).encode()
        error = {"message": f"No such address: {received.method} {path}", "type": "not_found"}
        return 404, {}, json.dumps({"error": error}).encode()

    async def _write_plain(self, status: int, headers: Any, body: bytes) -> None:
        fields = {"content-type": "application/json", **_lower(headers)}
        fields["content-length"] = str(len(body))
        await self._write(_head(status, fields) + body)

    async def _write_stream(self, received: Received, chosen: Answer) -> bool:
        """Write the events of an answer, and say whether the reply came to its end."""
        fields = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        fields |= _lower(chosen.headers) | {"transfer-encoding": "chunked"}
        await self._write(_head(chosen.status, fields))
        model = str(received.json().get("model", "")) if received.body else ""
        speak = self._wire(received.path) or stream_of
        for sent, event in enumerate(speak(chosen, received.number, model)):
            if sent == chosen.cut_after:
                if chosen.cut == "inside":
                    await self._write_pieces(event[: len(event) // 2], chosen.chunk_bytes)
                if chosen.cut == "clean":
                    break
                return False
            if chosen.gap_s:
                await asyncio.sleep(chosen.gap_s)
            if chosen.stall_after is not None and sent >= chosen.stall_after:
                await received.permit()
            await self._write_pieces(event, chosen.chunk_bytes)
            received.events_sent = sent + 1
            self._server.changed()
        if chosen.end_delay_s:
            await asyncio.sleep(chosen.end_delay_s)
        await self._write(b"0\r\n\r\n")
        return True

    async def _write_pieces(self, data: bytes, size: int | None) -> None:
        for start in range(0, len(data), size or len(data) or 1):
            piece = data[start : start + size] if size else data
            await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if size:
                await asyncio.sleep(0)

    async def _write(self, data: bytes) -> None:
        await self._writable.wait()
        self._transport.write(data)


class _BadRequestError(Exception):
    """What the client sent is not HTTP as spoken here."""


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _head(status: int, fields: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
