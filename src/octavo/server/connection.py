"""One client of the server: introduced once, told what happens in its threads, asked questions."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel

from octavo import __version__
from octavo.protocol import methods as m
from octavo.protocol.errors import OctavoError
from octavo.protocol.notifications import Notification
from octavo.rpc import INVALID_REQUEST, NO_METHOD, Link, LinkClosed, RpcError
from octavo.rpc.peer import Peer, decode_params, encode_notification

if TYPE_CHECKING:
    from octavo.server.server import Server

T = TypeVar("T")


class Request:
    """One request of a client, as a handler gets it."""

    def __init__(self, server: Server, connection: Connection, raw: bytes) -> None:
        self.server = server
        self.connection = connection
        self._raw = raw

    def params(self, kind: type[T]) -> T:
        """The parameters. Raises RpcError when they are not `kind`."""
        return decode_params(self._raw, kind)


Handler = Callable[[Request], Awaitable[Any]]
"""Answers one method. May raise RpcError or OctavoError."""


class Connection:
    """A client as the server sees it."""

    def __init__(self, server: Server, link: Link, handlers: dict[str, Handler]) -> None:
        self._server = server
        self._handlers = handlers
        self._peer = Peer(link, self._on_request, self._on_notification)
        self._outbox: deque[bytes] = deque()
        self._filled = anyio.Event()
        self._posted = 0
        self._sent = 0
        self._progress = anyio.Event()
        self._muted: frozenset[str] = frozenset()
        self.client: m.ClientInfo | None = None

    async def run(self) -> None:
        """Serve the client until it goes."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._send)
            await self._peer.run()
            group.cancel_scope.cancel()

    def post(self, notification: Notification, frame: bytes | None = None) -> None:
        """Tell the client, in order, without waiting. `frame` is `notification`, encoded."""
        if self.client is None or notification.method in self._muted:
            return
        if frame is None:
            frame = encode_notification(notification.method, notification)
        self._outbox.append(frame)
        self._posted += 1
        self._filled.set()

    async def ask(self, request_id: str, method: str, params: Any) -> bytes:
        """Ask the client. Raises RpcError, LinkClosed."""
        while self._outbox:  # what led to the question comes before it
            await anyio.lowlevel.checkpoint()
        return await self._peer.ask(method, params, request_id=request_id)

    async def _send(self) -> None:
        try:
            while True:
                await self._filled.wait()
                while self._outbox:
                    await self._peer.send_encoded(self._outbox.popleft())
                    self._sent += 1
                self._progress.set()
                self._progress = anyio.Event()
                self._filled = anyio.Event()
        except LinkClosed:
            return

    async def _on_request(self, method: str, params: bytes) -> Any:
        if method == m.INITIALIZE.name:
            return self._initialize(decode_params(params, m.InitializeParams))
        if self.client is None:
            raise RpcError(INVALID_REQUEST, "Not initialized: send `initialize` first.")
        handler = self._handlers.get(method)
        if handler is None:
            raise RpcError(NO_METHOD, f"There is no method {method!r}.")
        try:
            result = await handler(Request(self._server, self, params))
        except OctavoError as error:
            raise RpcError(INVALID_REQUEST, str(error), {"code": error.code}) from error
        await self._caught_up()
        return result

    async def _caught_up(self) -> None:
        """Wait until what was posted so far is sent: what happened before comes before."""
        until = self._posted
        while self._sent < until:
            await self._progress.wait()

    async def _on_notification(self, method: str, params: bytes) -> None:
        """`initialized` says only what the answer to `initialize` implies; others are unknown."""

    def _initialize(self, params: m.InitializeParams) -> m.InitializeResult:
        if self.client is not None:
            raise RpcError(INVALID_REQUEST, "Already initialized")
        self.client = params.client_info
        if params.capabilities is not None:
            self._muted = frozenset(params.capabilities.opt_out_notification_methods or ())
        return self._server.introduction(f"{self.client.name}/{__version__}")
