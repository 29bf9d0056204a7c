"""Clients that come over a network: a websocket each, on a TCP port.

A client is a stranger until it has shown the token: it has a few seconds for that, there are only
so many at a time, and nothing of the server's is touched for it. After that it is served like one
at a unix socket. One that does not read is cut off, and one that is gone without a word is noticed;
the first is told why in the close of the websocket, if it still listens.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

import anyio

from octavo.protocol.errors import OctavoError
from octavo.rpc import LinkClosed
from octavo.rpc.websocket import (
    GOING_AWAY,
    NORMAL,
    TOO_SLOW,
    Hello,
    Reply,
    SocketPipe,
    WebsocketLink,
    accept,
)
from octavo.server.connection import FINISH_S
from octavo.server.gate import Gate
from octavo.server.listen import serve_all
from octavo.server.outbox import CUT_OFF_BYTES
from octavo.server.server import Server

INTRODUCTION_S = 10.0
"""How long a stranger has to become a client."""
MAX_STRANGERS = 64
_BACKLOG = 128
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Address = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


async def serve_websockets(
    server: Server, at: Address, gate: Gate, say: Callable[[str], None]
) -> None:
    """Serve every client that comes to `at` and that `gate` lets in, until a signal comes.

    Args:
        at: an address and a port; port 0 is any that is free.
        say: told, in a sentence, where the server is, and of every client that is cut off.

    Raises:
        OctavoError: nothing can listen there.
    """
    with _listening(at) as listener:
        say(f"Listening at {_url(at[0], listener.getsockname()[1])}.")
        door = Door(server, gate, say)
        await serve_all(server, listener, door.welcome, door.shut)


class Door:
    """Lets clients in, one connection at a time."""

    def __init__(
        self,
        server: Server,
        gate: Callable[[Hello], Reply | None],
        say: Callable[[str], None],
        *,
        cut_off_bytes: int = CUT_OFF_BYTES,
    ) -> None:
        self._server = server
        self._gate = gate
        self._say = say
        self._cut_off_bytes = cut_off_bytes
        self._strangers: set[anyio.CancelScope] = set()
        self._is_shut = False

    def shut(self) -> None:
        """Let nobody in any more."""
        self._is_shut = True
        for scope in self._strangers:
            scope.cancel()

    async def welcome(self, connection: socket.socket) -> None:
        """Serve one."""
        with connection:
            connection.setblocking(False)
            if len(self._strangers) >= MAX_STRANGERS:
                try:
                    connection.send(_FULL)
                except OSError:
                    pass
                return
            link = await self._introduced(connection)
            if link is not None:
                await self._serve(link)

    async def _introduced(self, connection: socket.socket) -> WebsocketLink | None:
        pipe = SocketPipe(connection)
        with anyio.move_on_after(INTRODUCTION_S) as scope:
            self._strangers.add(scope)
            try:
                link = await accept(pipe, self._gate)
                if link is None:  # it has been told; it may read that before it is cut off
                    pipe.shut()
                    while await pipe.read():
                        pass
                return link
            except LinkClosed:
                return None
            finally:
                self._strangers.discard(scope)
        return None

    async def _serve(self, link: WebsocketLink) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_notice_death, link)
            dropped = await self._server.connect(
                link, cut_off_bytes=self._cut_off_bytes, finish_s=FINISH_S
            )
            if dropped is not None:
                self._say(f"A client was cut off. {dropped}")
                await link.end(TOO_SLOW, dropped)
            else:
                await link.end(GOING_AWAY if self._is_shut else NORMAL)
            group.cancel_scope.cancel()


async def _notice_death(link: WebsocketLink) -> None:
    await link.keep_alive()
    link.close()


def _listening(at: Address) -> socket.socket:
    address, port = at
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # of its connections, too
        listener.bind((str(address), port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OctavoError(
            f"Nothing can listen at {_url(address, port)}: {error.strerror or error}.",
            hint="Name another port; port 0 is any that is free.",
        ) from None
    return listener


def _url(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
    return f"ws://[{address}]:{port}" if address.version == 6 else f"ws://{address}:{port}"
