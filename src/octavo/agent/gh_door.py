"""The door through which gh in the cage reaches the API: its token is added here, outside.

Gh is told, in settings of octavo's own, to send its requests to a unix socket; it does so in plain
HTTP. Each is read, judged, and sent on over TLS to the one host a person was asked about, with the
person's token in the place of the made-up one. So the token never comes into the cage, where
nothing could keep a program from showing it. For a call that only reads, nothing is sent that
changes something.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import anyio
import msgspec

from octavo.agent.gh_place import GhPlace
from octavo.sandbox.net import Refused, Unreachable
from octavo.sandbox.net.gate import READING_METHODS, Gate
from octavo.sandbox.net.http1 import (
    CHUNKED,
    MAX_HEAD,
    Fields,
    Request,
    end_to_end,
    framing,
    parse_reply,
    parse_request,
    write_head,
)
from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.wire import Malformed

AT_ONCE = 32
_QUERY_LIMIT_BYTES = 1 << 20
_COPY_BYTES = 256 * 1024
_DEADLINE_S = 3600.0
_GRAPHQL = ("/graphql", "/api/graphql")
_MUTATES = re.compile(r"\b(?:mutation|subscription)\b")
_LOOK_AWAY = ("authorization", "host", "cookie", "proxy-authorization")
_OTHER_METHOD = re.compile(r"x-(?:http-)?method(?:-override)?")
"""Fields by which some servers take one method for another."""


class _Target(msgspec.Struct, frozen=True):
    host: str
    port: int
    with_token: bool


class NotSent(Exception):
    """A request that is not sent on; the message says why, for a model."""


class GhDoor:
    """Sends on the requests of one call of gh.

    Attributes:
        refused: what was not sent on, in sentences.
    """

    def __init__(
        self,
        place: GhPlace,
        token: str,
        *,
        reads: bool,
        deny: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            place: whose API is reached.
            token: the person's.
            reads: nothing is changed there.
            deny: patterns of hosts that a person lets nobody reach.
            env: octavo's own; says where the certificates are, if not where the system has them.
        """
        self.refused: list[str] = []
        self._token = token
        self._reads = reads
        self._deny = tuple(deny)
        self._api = {_split(text) for text in (place.api, place.uploads)}
        self._elsewhere: set[tuple[str, str]] = set()
        """Hosts and paths to which the API itself sent gh on: logs, and files of releases."""
        certificates = (env or {}).get("SSL_CERT_FILE") or None
        self._tls = ssl.create_default_context(cafile=certificates)

    async def serve(self, listener: socket.socket) -> None:
        """Answer until cancelled."""
        listener.setblocking(False)
        room = anyio.Semaphore(AT_ONCE)
        async with anyio.create_task_group() as group:
            while True:
                await anyio.wait_readable(listener)
                await room.acquire()
                try:
                    connection, _ = listener.accept()
                except OSError:
                    room.release()
                    continue
                group.start_soon(self._handle, connection, room)

    async def _handle(self, connection: socket.socket, room: anyio.Semaphore) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD)
        try:
            with anyio.move_on_after(_DEADLINE_S):
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, Malformed):
            pass  # gh is gone, or the host is; it notices
        finally:
            writer.close()
            room.release()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = parse_request(await reader.readuntil(b"\r\n\r\n"))
        try:
            body = await self._small_body(reader, request)
            target = self._judge(request, body)
            upstream = await self._dial(target)
        except NotSent as reason:
            self.refused.append(str(reason))
            await _answer(writer, str(reason))
            return
        their_reader, their_writer = upstream
        try:
            their_writer.write(self._head(request, target) + body)
            await _copy(reader, their_writer, request.body - len(body))
            await their_writer.drain()
            head = await their_reader.readuntil(b"\r\n\r\n")
            self._learn(head, request, target)
            writer.write(head)
            await _copy(their_reader, writer, None)
        finally:
            their_writer.close()

    async def _small_body(self, reader: asyncio.StreamReader, request: Request) -> bytes:
        """Return the body of a query, which is judged; of all else b"", as it is passed on."""
        if request.body == CHUNKED:
            raise NotSent("a request in chunks is not sent on.")
        if request.target.partition("?")[0] not in _GRAPHQL:
            return b""
        if request.body > _QUERY_LIMIT_BYTES:
            raise NotSent("a query as long as this is not sent on.")
        return await reader.readexactly(request.body)

    def _judge(self, request: Request, body: bytes) -> _Target:
        """Return where a request goes. Raises NotSent."""
        host, port = _split(request.host() or "")
        shown = f"{request.method} {host}{request.target.partition('?')[0]}"
        if not request.target.startswith("/"):
            raise NotSent(f"{shown} is no request to the API.")
        if (host, port) not in self._api:
            is_known = (f"{host}:{port}", request.target) in self._elsewhere
            if not is_known or request.method not in READING_METHODS or request.body:
                raise NotSent(f"{shown} was not sent: only the API of the repository is reached.")
            return _Target(host, port, with_token=False)
        if self._reads and not _only_reads(request, body):
            raise NotSent(f"{shown} was not sent: it may change something, and was asked to read.")
        return _Target(host, port, with_token=True)

    def _head(self, request: Request, target: _Target) -> bytes:
        fields: Fields = [
            (name, value)
            for name, value in end_to_end(request.fields)
            if name.decode("latin-1") not in _LOOK_AWAY
        ]
        host = target.host if target.port == 443 else f"{target.host}:{target.port}"
        more: Fields = [(b"host", host.encode()), (b"connection", b"close")]
        if target.with_token:
            more.append((b"authorization", f"token {self._token}".encode()))
        if request.body or request.method not in READING_METHODS:
            more += framing(request.body)
        first = f"{request.method} {request.target} HTTP/1.1".encode()
        return write_head(first, [*more, *fields])

    def _learn(self, head: bytes, request: Request, target: _Target) -> None:
        """Remember where the API sends gh on."""
        reply = parse_reply(head, request.method)
        if reply.status not in (301, 302, 303, 307, 308) or not target.with_token:
            return
        for name, value in reply.fields:
            if name == b"location":
                try:
                    there = urlsplit(value.decode("latin-1"))
                    port = there.port or 443
                except ValueError:
                    continue  # no address
                if there.scheme == "https" and there.hostname and not there.username:
                    path = there.path or "/"
                    path += f"?{there.query}" if there.query else ""
                    self._elsewhere.add((f"{there.hostname.lower()}:{port}", path))

    async def _dial(self, target: _Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = f"{target.host}:{target.port}"
        # Where the API sends gh on is a public host, or none.
        allowed, local = ((), (place,)) if target.with_token else (("*",), ())
        gate = Gate(HostRules(allowed, self._deny, local))
        try:
            sock = await gate.dial(await gate.admit(target.host, target.port, "https"), "https")
        except Refused as refused:
            raise NotSent(str(refused)) from None
        except Unreachable as failure:
            raise NotSent(str(failure)) from None
        try:
            return await asyncio.open_connection(
                sock=sock, ssl=self._tls, server_hostname=target.host, limit=MAX_HEAD
            )
        except (OSError, ssl.SSLError) as error:
            sock.close()
            raise NotSent(f"{place} cannot be trusted or does not answer: {error}.") from None


def _only_reads(request: Request, body: bytes) -> bool:
    """Whether a request changes nothing: it asks for something, or is a query and no mutation."""
    path, _, more = request.target.partition("?")
    if any(_OTHER_METHOD.fullmatch(name.decode("latin-1")) for name, _ in request.fields):
        return False
    if path in _GRAPHQL and more:
        return False  # a query may stand there, beside the one in the body
    if request.method in READING_METHODS:
        return not request.body
    return request.method == "POST" and path in _GRAPHQL and _is_query(body)


def _is_query(body: bytes) -> bool:
    """Whether a body is one query, however it is read.

    Words are looked for in all of it, also in its strings and comments: where those end is for the
    server to say, and a query that only seems to hold a mutation can be written another way.
    """
    import json  # the other reader takes the last of two keys, and does not say so

    try:
        said = json.loads(body.decode(), object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    if not isinstance(said, list) or not all(isinstance(pair, tuple) for pair in said):
        return False
    queries = [value for name, value in said if name.casefold() == "query"]
    match queries:
        case [str(query)]:
            return not _MUTATES.search(query)
        case _:
            return False


def _split(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return host.lower(), int(port) if port.isdecimal() else 443


async def _answer(writer: asyncio.StreamWriter, reason: str) -> None:
    body = msgspec.json.encode({"message": f"octavo: {reason}"})
    fields = [
        (b"content-type", b"application/json"),
        *framing(len(body)),
        (b"connection", b"close"),
    ]
    writer.write(write_head(b"HTTP/1.1 403 Forbidden", fields) + body)
    await writer.drain()


async def _copy(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: int | None
) -> None:
    """Pass on `count` bytes, or all until the end. Raises OSError, IncompleteReadError."""
    while count is None or count > 0:
        size = _COPY_BYTES if count is None else min(count, _COPY_BYTES)
        data = await source.read(size)
        if not data:
            if count is None:
                return
            raise asyncio.IncompleteReadError(b"", count)
        count = None if count is None else count - len(data)
        sink.write(data)
        await sink.drain()
