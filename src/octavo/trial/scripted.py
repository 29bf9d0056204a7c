"""A model that says what a script tells it, over real HTTP on the loopback interface.

It speaks the OpenAI Responses API as a stream of server-sent events, so nothing under test is
replaced: the client's sockets, parser and timeouts are the real ones. Every request is recorded
with its bytes and with the moment the client let go of it. It is not a model of anything: it
never looks at a prompt unless the script is a function that does.

    async with serve([call("exec_command", cmd="ls"), say("Done.")]) as server:
        ...  # a client of server.base_url
        assert len(server.requests) == 2

As a program: `python -m octavo.trial.scripted SCRIPT.json [--port N] [--log FILE]`, where the
script is a JSON array of `answers.Answer`; the base URL is the first line printed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from octavo.trial.answers import (
    Answer,
    Script,
    Step,
    answer,
    as_answer,
    call,
    custom,
    cut,
    fail,
    garble,
    hang_up,
    refuse,
    say,
    search,
    stall,
    think,
)
from octavo.trial.wire import stream_of

if TYPE_CHECKING:
    import ssl

__all__ = [
    "Answer",
    "Received",
    "Script",
    "Server",
    "Step",
    "answer",
    "call",
    "custom",
    "cut",
    "fail",
    "garble",
    "hang_up",
    "refuse",
    "say",
    "search",
    "serve",
    "stall",
    "think",
]

_MAX_HEAD_BYTES = 64 * 1024
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

    async def _permit(self) -> None:
        while not self._allowed:
            self._let.clear()
            await self._let.wait()
        self._allowed -= 1


class Server:
    """A running scripted model. See `serve`."""

    def __init__(
        self,
        script: Script,
        *,
        per_thread: bool,
        models: Sequence[str],
        on_done: Callable[[Received], None] | None,
        keep_bodies: bool,
    ) -> None:
        self.requests: list[Received] = []
        """The requests for an answer, in order of arrival."""
        self.other_requests: list[Received] = []
        self.base_url = ""
        self.port = 0
        self.connections = 0
        """How many there have been."""
        self.open_connections = 0
        self._script = script
        self._per_thread = per_thread
        self._models = models
        self._on_done = on_done
        self._keep_bodies = keep_bodies
        self._asked: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._connections: set[_Connection] = set()

    async def until(self, claim: Callable[[], bool], *, deadline_s: float = 5) -> None:
        """Wait until `claim` holds; it is looked at whenever something happened here.

        Raises:
            TimeoutError: it did not become true in time.
        """
        async with asyncio.timeout(deadline_s):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    async def request(self, number: int) -> Received:
        """Wait for the `number`th request, counted from 1, and return it."""
        await self.until(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    def _changed_now(self) -> None:
        self._changed.set()

    def _step(self, received: Received) -> Answer:
        if callable(self._script):
            return as_answer(self._script(received))
        key = ""
        if self._per_thread:
            key = str(received.json().get("prompt_cache_key", ""))
        asked = self._asked[key]
        self._asked[key] += 1
        for step in self._script:
            chosen = as_answer(step)
            if asked < chosen.times:
                return chosen
            asked -= chosen.times
        return refuse(400, f"The script has no answer for request {received.number}.")


@asynccontextmanager
async def serve(
    script: Script = (),
    *,
    port: int = 0,
    per_thread: bool = False,
    models: Sequence[str] = ("scripted",),
    on_done: Callable[[Received], None] | None = None,
    keep_bodies: bool = True,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    """Serve `script` on 127.0.0.1 until the block ends; then every connection is closed.

    Args:
        script: steps, given in the order of the requests; or a function of the request.
        port: 0 takes a free one.
        per_thread: each `prompt_cache_key` goes through the steps by itself.
        models: the ids that `GET /v1/models` lists.
        on_done: called when a reply has ended, in whatever way.
        keep_bodies: whether `Received.body` stays after the reply.
        tls: serve https with it.
    """
    server = Server(
        script, per_thread=per_thread, models=models, on_done=on_done, keep_bodies=keep_bodies
    )
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: _Connection(server), "127.0.0.1", port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    server.base_url = f"http{'s' if tls else ''}://127.0.0.1:{server.port}/v1"
    try:
        yield server
    finally:
        listener.close()
        tasks = [connection.abort() for connection in list(server._connections)]
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection(asyncio.Protocol):
    """One client. The loop tells of bytes and of the end; one task reads and replies."""

    def __init__(self, server: Server) -> None:
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
        self._server._connections.add(self)
        self._server.connections += 1
        self._server.open_connections += 1
        self._task = asyncio.get_running_loop().create_task(self._talk())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._fresh.set()

    def eof_received(self) -> bool:
        self._closed_by_client()
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closed_by_client()
        self._server._connections.discard(self)
        self._server.open_connections -= 1
        self._task.cancel()
        self._server._changed_now()

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
            self._server._changed_now()

    # Reading.

    async def _talk(self) -> None:
        try:
            while True:
                received = await self._read_request()
                self._current = received
                try:
                    go_on = await self._reply(received)
                finally:
                    self._done(received)
                if not go_on:
                    return
        except (_BadRequestError, ValueError) as bad:
            await self._write_plain(400, {}, str(bad).encode())
        finally:
            self._transport.close()

    def _done(self, received: Received) -> None:
        if self._server._on_done is not None:
            self._server._on_done(received)
        if not self._server._keep_bodies:
            received.body = b""
        self._server._changed_now()

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
        asks = method == "POST" and path.partition("?")[0].endswith("/responses")
        number = len(self._server.requests) + 1 if asks else 0
        received = Received(number, method, path, headers, body)
        (self._server.requests if asks else self._server.other_requests).append(received)
        self._server._changed_now()
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
        chosen = self._server._step(received)
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

    def _other(self, received: Received) -> tuple[int, dict[str, str], bytes]:
        path = received.path.partition("?")[0]
        if received.method == "GET" and path.endswith("/models"):
            data = [{"id": name, "object": "model"} for name in self._server._models]
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
        for sent, event in enumerate(stream_of(chosen, received.number, model)):
            if sent == chosen.cut_after:
                if chosen.cut == "inside":
                    await self._write_pieces(event[: len(event) // 2], chosen.chunk_bytes)
                if chosen.cut == "clean":
                    break
                return False
            if chosen.gap_s:
                await asyncio.sleep(chosen.gap_s)
            if chosen.stall_after is not None and sent >= chosen.stall_after:
                await received._permit()
            await self._write_pieces(event, chosen.chunk_bytes)
            received.events_sent = sent + 1
            self._server._changed_now()
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


def main() -> None:
    """Serve a script from a file until killed."""
    import argparse
    import contextlib
    from pathlib import Path

    import msgspec

    parser = argparse.ArgumentParser(
        prog="python -m octavo.trial.scripted", description=main.__doc__
    )
    parser.add_argument("script", type=Path, help="a JSON array of answers")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    parser.add_argument("--log", type=Path, help="append a JSON line for each reply")
    parser.add_argument("--bodies", action="store_true", help="log the requests' bodies, too")
    parser.add_argument(
        "--per-thread", action="store_true", help="each prompt_cache_key gets the whole script"
    )
    options = parser.parse_args()
    script = msgspec.json.decode(options.script.read_bytes(), type=list[Answer])

    async def run() -> None:
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(options.log.open("a")) if options.log else None

            def note(received: Received) -> None:
                if log is not None:
                    line = _line_of(received, bodies=options.bodies)
                    print(json.dumps(line), file=log, flush=True)

            async with serve(
                script,
                port=options.port,
                per_thread=options.per_thread,
                on_done=note,
                keep_bodies=False,
            ) as server:
                print(server.base_url, flush=True)
                await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def _line_of(received: Received, *, bodies: bool) -> dict[str, Any]:
    line = {
        "number": received.number,
        "method": received.method,
        "path": received.path,
        "headers": received.headers,
        "body_bytes": len(received.body),
        "arrived_at": received.arrived_at,
        "replied_at": received.replied_at,
        "closed_at": received.closed_at,
    }
    if bodies:
        line["body"] = received.body.decode(errors="replace")
    return line


if __name__ == "__main__":
    main()
