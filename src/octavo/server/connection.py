"""One client of the server: introduced once, told what happens in its threads, asked questions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from octavo.protocol import methods as m
from octavo.protocol.errors import OctavoError
from octavo.protocol.notifications import Notification, Warned
from octavo.rpc import BAD_PARAMS, INVALID_REQUEST, NO_METHOD, Link, RpcError
from octavo.rpc.peer import Peer, decode_params, encode_notification
from octavo.server.outbox import Outbox

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


class Stoppable(Protocol):
    """Something that goes on until it is told not to."""

    def cancel(self) -> None: ...


Handler = Callable[[Request], Awaitable[Any]]
"""Answers one method. May raise RpcError or OctavoError."""


FINISH_S = 5.0
"""How long what was asked may still take when a client has ended its output."""
FLUSH_S = 2.0
"""How long a client that is being left has for what it was not sent yet."""
FAREWELL_S = 10.0
"""How long one that was cut off has to read why."""


class Connection:
    """A client as the server sees it."""

    def __init__(self, server: Server, link: Link, *, cut_off_bytes: int | None = None) -> None:
        self._server = server
        self._outbox = Outbox(link, cut_off_bytes, self._on_drop)
        self._peer = Peer(self._outbox, self._on_request, self._on_notification)
        self._muted: frozenset[str] = frozenset()
        self._scope = anyio.CancelScope()
        self.commands: dict[object, object] = {}
        """Those that the client runs by itself; see `server.commands`."""
        self.beside: dict[tuple[str, object], Stoppable] = {}
        """What goes on for the client beside its requests; cancelled when it is gone."""
        self.client: m.ClientInfo | None = None

    @property
    def dropped(self) -> str | None:
        """Why the client was cut off, if it was."""
        return self._outbox.dropped

    async def run(
        self, *, finish_s: float = 0, at_end: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Serve the client until it goes, or `leave`.

        Args:
            finish_s: how long the server goes on with what was asked when nothing more will be.
            at_end: done while the client can still be told things.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._send)
            with self._scope:
                await self._peer.run(finish_s=finish_s)
            with anyio.CancelScope(shield=True):
                if at_end is not None:
                    await at_end()
                self._outbox.shut()
                group.cancel_scope.deadline = anyio.current_time() + (
                    FLUSH_S if self.dropped is None else FAREWELL_S
                )

    def leave(self) -> None:
        """End the connection as if the client had."""
        self._scope.cancel()

    async def _send(self) -> None:
        await self._outbox.run()
        self._scope.cancel()

    def _on_drop(self, reason: str) -> bytes:
        self._scope.cancel()
        said = Warned(reason, octavo_code="client.dropped")
        return encode_notification(said.method, said)

    def post(self, notification: Notification, frame: bytes | None = None) -> None:
        """Tell the client, in order, without waiting. `frame` is `notification`, encoded."""
        if self.client is None or notification.method in self._muted:
            return
        if frame is None:
            frame = encode_notification(notification.method, notification)
        self._outbox.post(frame)

    async def room(self) -> None:
        """Wait until the client has read most of what it was sent."""
        await self._outbox.room()

    async def ask(self, request_id: str, method: str, params: Any) -> bytes:
        """Ask the client. Raises RpcError, LinkClosed."""
        return await self._peer.ask(method, params, request_id=request_id)

    async def _on_request(self, method: str, params: bytes) -> Any:
        if method == m.INITIALIZE.name:
            return self._initialize(decode_params(params, m.InitializeParams))
        if self.client is None:
            raise RpcError(INVALID_REQUEST, "Not initialized: send `initialize` first.")
        handler = self._server.handlers.get(method)
        if handler is None:
            raise RpcError(NO_METHOD, f"There is no method {method!r}.")
        try:
            return await handler(Request(self._server, self, params))
        except OctavoError as error:
            raise RpcError(INVALID_REQUEST, str(error), {"code": error.code}) from error
        except OSError as error:  # a path that cannot be one, a disk that is full
            said = f"The system refused: {error.strerror or error}."
            raise RpcError(INVALID_REQUEST, said, {"code": "os"}) from error
        except ValueError as error:  # how Python says that of a path, wherever it meets one
            if "null byte" not in str(error):
                raise
            raise RpcError(BAD_PARAMS, "Invalid params: a null character in a path") from error

    async def _on_notification(self, method: str, params: bytes) -> None:
        """`initialized` says what the answer to `initialize` implies; others are unknown.

        A client that sends it goes on to ask for something: there is time now to load it all.
        """
        if self.client is not None and method == m.INITIALIZED:
            _ = self._server.handlers

    def _initialize(self, params: m.InitializeParams) -> m.InitializeResult:
        if self.client is not None:
            raise RpcError(INVALID_REQUEST, "Already initialized")
        self.client = params.client_info
        if params.capabilities is not None:
            self._muted = frozenset(params.capabilities.opt_out_notification_methods or ())
        return self._server.introduction(self.client.name)
