"""HTTP/1 through the gate: one request after the other, each judged by itself.

Serves clients that know the proxy (whole addresses, CONNECT), captured connections to port 80, and
what a tunnel to port 80 carries. What CONNECT opens is carried by `tunnel`. A blocked request gets
403 at once, with a text for whoever reads it; a redirect is just the next request.
"""

from __future__ import annotations

import socket

import anyio
import msgspec

from octavo.sandbox.net import Blocked, Refused, Unreachable
from octavo.sandbox.net.bodies import pass_body
from octavo.sandbox.net.gate import READING_METHODS, Gate
from octavo.sandbox.net.hosts import NotAHost, canonical_host, shown
from octavo.sandbox.net.http1 import (
    DEFAULT_PORT,
    MAX_HEAD,
    Reply,
    Request,
    parse_reply,
    parse_request,
    split_absolute,
    split_authority,
)
from octavo.sandbox.net.replies import error_reply, reply_head, request_head
from octavo.sandbox.net.rules import Allowed
from octavo.sandbox.net.wire import Ended, Malformed, Wire, splice

HEAD_S = 20.0
BETWEEN_REQUESTS_S = 120.0
LINGER_S = 1.0
MAX_INTERIM = 8
"""Interim replies (1xx) before the real one."""


class Opened(msgspec.Struct, frozen=True):
    """A connection that was let out, and told to the client; nothing was passed on yet."""

    allowed: Allowed
    upstream: Wire


class HttpConnection:
    """The requests of one client connection."""

    def __init__(
        self,
        client: Wire,
        gate: Gate,
        *,
        tunnel: Opened | None = None,
        captured: str | None = None,
        port: int = DEFAULT_PORT,
    ) -> None:
        """Serve `client`, as a proxy unless `tunnel` or `captured` is given.

        Args:
            client: stands at the first request.
            gate: judges.
            tunnel: every request must be for its host; owned, and closed in the end.
            captured: the client believes to speak to the host itself; the host whose made-up
                address it dialled, or "".
            port: the one that a captured client dialled.
        """
        self._client = client
        self._gate = gate
        self._fixed = tunnel.allowed if tunnel else None
        self._captured = captured
        self._port = port
        self._upstream = tunnel.upstream if tunnel else None
        self._upstream_for = tunnel.allowed if tunnel else None
        self._replying = False
        """Part of a reply went to the client, so no error can be told any more."""

    async def run(self) -> Opened | None:
        """Answer until the client ends, or until CONNECT opens something else."""
        try:
            return await self._answer_all()
        except Refused as refused:
            await self._fail(403, str(refused), refused.blocked)
        except Malformed as error:
            await self._fail(400, f"The request is refused: {error}.")
        except Unreachable as error:
            await self._fail(502, str(error))
        finally:
            self._drop_upstream()
        return None

    async def _answer_all(self) -> Opened | None:
        while (request := await self._next()) is not None:
            self._replying = False
            if request.method == "CONNECT":
                return await self._connect(request)
            host, port, path = self._place(request)
            does = request.method
            if request.body and does in READING_METHODS:
                does += " with a body"
            allowed = self._fixed or await self._gate.admit(host, port, "http", does)
            if not await self._exchange(request, allowed, path):
                await linger(self._client)
                break
        return None

    async def _next(self) -> Request | None:
        """Return the next request; None if there is none."""
        with anyio.move_on_after(BETWEEN_REQUESTS_S):
            if not self._client.ahead:
                await self._client.fill(MAX_HEAD)
        if not self._client.ahead:
            return None
        with anyio.move_on_after(HEAD_S):
            return parse_request(await self._client.until(b"\r\n\r\n", MAX_HEAD))
        raise Malformed("it did not arrive in time")

    async def _connect(self, request: Request) -> Opened:
        if self._captured is not None or self._fixed is not None:
            raise Malformed("CONNECT is for the proxy")
        if request.body:
            raise Malformed("CONNECT has no body")
        host, port = split_authority(request.target)
        if port is None:
            raise Malformed("CONNECT needs a port")
        allowed = await self._gate.admit(host, port, "https")
        sock = await self._gate.dial(allowed, "https")
        opened = Opened(allowed, Wire(sock, self._client.line))
        try:
            await self._client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        except BaseException:
            sock.close()
            raise
        return opened

    def _place(self, request: Request) -> tuple[str, int, str]:
        """Return host, port and path; the address and the Host field must agree."""
        said = request.host()
        if said is None and request.version == b"HTTP/1.1":
            raise Malformed("it has no Host field")
        if request.target.startswith("/") or request.target == "*":
            host, port = self._own_place(said)
            path = request.target
        else:
            host, port, path = split_absolute(request.target, request.method)
            if self._fixed is not None and self._fixed.port != port:
                raise Malformed("its port is not the tunnel's")
            if self._captured is not None and self._port != port:
                raise Malformed("its port is not the one that was dialled")
        if said is not None:
            self._must_name(said, host, port)
        if self._fixed is not None:
            self._must_name(host, self._fixed.host, port)
        return host, port, path

    def _own_place(self, said: str | None) -> tuple[str, int]:
        """Return where a request goes that names only a path."""
        if self._fixed is not None:
            return self._fixed.host, self._fixed.port
        if self._captured is None:
            raise Malformed("this is a proxy: a request needs a whole address")
        if said is None and not self._captured:
            raise Malformed("it has no Host field")
        return self._captured if said is None else split_authority(said)[0], self._port

    def _must_name(self, said: str, host: str, port: int) -> None:
        said_host, said_port = split_authority(said)
        try:
            same = canonical_host(said_host) == canonical_host(host)
        except NotAHost:
            same = False
        if not same or said_port not in (None, port):
            detail = f"the request names {shown(said)} as its host"
            raise self._gate.refuse(shown(host), port, "http", "other_name", detail)

    async def _exchange(self, request: Request, allowed: Allowed, path: str) -> bool:
        """Pass on a request and its reply; True if another request may follow."""
        reused = self._upstream is not None and self._upstream_for == allowed
        upstream = await self._reach(allowed)
        websocket = request.wants_websocket() and not request.body
        try:
            await upstream.send(request_head(request, allowed, path, websocket=websocket))
            exchange = _Exchange(self, request, upstream, websocket=websocket)
            reply = await exchange.run()
        except (Ended, OSError):
            if self._replying:
                raise Ended from None
            if reused and request.method in READING_METHODS and not request.body:
                self._drop_upstream()  # it was closed while nothing was asked
                return await self._exchange(request, allowed, path)
            raise Unreachable(f"{allowed.host}:{allowed.port} closed the connection.") from None
        if reply.status == 101:
            await splice(self._client, upstream)
            return False
        if not reply.keeps_alive() or not exchange.heard_all:
            self._drop_upstream()
        return exchange.heard_all and request.keeps_alive() and reply.ends_by_itself(request)

    async def _reach(self, allowed: Allowed) -> Wire:
        """Return a connection to the host: the last request's, if it is the same and alive."""
        if self._upstream is not None:
            if self._upstream_for == allowed and _is_quiet(self._upstream):
                return self._upstream
            self._drop_upstream()
        self._upstream = Wire(await self._gate.dial(allowed, "http"), self._client.line)
        self._upstream_for = allowed
        return self._upstream

    def _drop_upstream(self) -> None:
        upstream, self._upstream, self._upstream_for = self._upstream, None, None
        if upstream is not None:
            upstream.close()

    async def begin_reply(self, head: bytes) -> None:
        """Send the head of a reply; from now on no error can be told."""
        self._replying = True
        await self._client.send(head)

    @property
    def client(self) -> Wire:
        """Where the requests come from."""
        return self._client

    async def _fail(self, status: int, text: str, blocked: Blocked | None = None) -> None:
        """Say what was wrong, and let the client read it before the connection is gone."""
        if self._replying:
            return
        await self._client.send(error_reply(status, text, blocked))
        await linger(self._client)


class _Exchange:
    """One request's body and its reply, side by side: a host may answer before it heard all."""

    def __init__(
        self, connection: HttpConnection, request: Request, upstream: Wire, *, websocket: bool
    ) -> None:
        self._connection = connection
        self._request = request
        self._upstream = upstream
        self._websocket = websocket
        self._failure: Exception | None = None
        self.heard_all = not request.body
        """The host was sent the whole body."""

    async def run(self) -> Reply:
        """Return the head of the reply, which the client has.

        Raises:
            Malformed: the request's body is odd.
            Unreachable: the reply is odd.
            Ended, OSError: one of the two is gone.
        """
        if not self._request.body:
            return await self._pass_reply()
        reply: Reply | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._send_body, group.cancel_scope)
            try:
                reply = await self._pass_reply()
            except (Ended, OSError, Unreachable) as error:
                self._failure = error
            group.cancel_scope.cancel()
        if reply is None:
            raise self._failure or Ended
        return reply

    async def _send_body(self, all_of_it: anyio.CancelScope) -> None:
        client = self._connection.client
        try:
            if self._request.expects_continue() and not client.ahead:
                await client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await pass_body(client, self._upstream, self._request.body)
            self.heard_all = True
        except (Ended, Malformed) as error:
            self._failure = error
            all_of_it.cancel()
        except OSError:
            return  # what the host said before it closed still counts

    async def _pass_reply(self) -> Reply:
        try:
            for _ in range(MAX_INTERIM):
                head = await self._upstream.until(b"\r\n\r\n", MAX_HEAD)
                reply = parse_reply(head, self._request.method)
                if reply.status >= 200 or reply.status == 101:
                    break
            else:
                raise Malformed("interim replies without end")
            if reply.status == 101 and not self._websocket:
                raise Malformed("a change to a protocol that nobody asked for")
            await self._connection.begin_reply(reply_head(self._request, reply))
            chunks = self._request.version == b"HTTP/1.1"
            await pass_body(self._upstream, self._connection.client, reply.body, chunks=chunks)
        except Malformed as error:
            raise Unreachable(f"The host's reply is odd: {error}.") from None
        return reply


async def linger(client: Wire) -> None:
    """Let the client read what it was sent: closing over unread bytes would take that away."""
    client.end()
    client.ahead.clear()
    with anyio.move_on_after(LINGER_S):
        while await client.fill(MAX_HEAD):
            client.ahead.clear()


def _is_quiet(wire: Wire) -> bool:
    """Whether a kept connection is open, and nothing came on it that was not asked for."""
    if wire.ahead:
        return False
    try:
        wire.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
