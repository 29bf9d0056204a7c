"""Answers what a cage's sockets hear, until it is cancelled.

Everything is bounded: connections, what is kept for each, how long nothing may happen. When it
ends, all connections and listeners are closed.
"""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from octavo.sandbox.net import Listeners, Refused, Unreachable
from octavo.sandbox.net.dns import Pool, answer
from octavo.sandbox.net.gate import Gate
from octavo.sandbox.net.proxy import HttpConnection, Opened
from octavo.sandbox.net.socks import open_socks
from octavo.sandbox.net.tunnel import Ports, carry, carry_captured
from octavo.sandbox.net.wire import COPY_BYTES, Ended, Line, Malformed, Wire

BACKLOG = 128
DATAGRAM_BYTES = 4096
PAUSE_S = 0.05
"""After a failure to accept: there may be no free descriptors."""

Answer = Callable[[Wire], Awaitable[None]]


class Limits(msgspec.Struct, frozen=True):
    """What the programs of one cage may cost together."""

    connections: int = 512
    """At once; more wait."""
    idle_s: float = 600.0
    """A connection on which nothing moves is closed after this."""


DEFAULT_LIMITS = Limits()
DEFAULT_PORTS = Ports()


async def serve(
    listeners: Listeners,
    gate: Gate,
    *,
    pool: Pool | None = None,
    limits: Limits = DEFAULT_LIMITS,
    ports: Ports = DEFAULT_PORTS,
) -> None:
    """Serve all listeners until cancelled, and close them.

    Args:
        listeners: bound by the cage.
        gate: judges; its rules may be replaced meanwhile.
        pool: made-up addresses; a new one by default.
        limits: what all of it may cost.
        ports: those that are captured.
    """
    server = _Server(gate, pool or Pool(), limits, ports)
    streams: list[tuple[socket.socket | None, Answer]] = [
        (listeners.proxy, server.answer_proxy),
        (listeners.socks, server.answer_socks),
        (listeners.dns_tcp, server.answer_dns),
        (listeners.http, server.answer_http),
        (listeners.https, server.answer_https),
    ]
    for host, forward in listeners.forwards:
        streams.append((forward, functools.partial(server.answer_forward, host)))
    try:
        async with anyio.create_task_group() as group:
            for listener, respond in streams:
                if listener is not None:
                    group.start_soon(server.accept, listener, respond)
            if listeners.dns_udp is not None:
                group.start_soon(server.answer_datagrams, listeners.dns_udp)
    finally:
        for listener in (*(listener for listener, _ in streams), listeners.dns_udp):
            if listener is not None:
                listener.close()


class _Server:
    def __init__(self, gate: Gate, pool: Pool, limits: Limits, ports: Ports) -> None:
        self._gate = gate
        self._pool = pool
        self._limits = limits
        self._ports = ports
        self._free = anyio.Semaphore(limits.connections)
        self._buffer = memoryview(bytearray(COPY_BYTES))

    async def accept(self, listener: socket.socket, respond: Answer) -> None:
        """Take connections for ever, each in a task of its own."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        async with anyio.create_task_group() as group:
            while True:
                await anyio.wait_readable(listener)
                await self._free.acquire()
                sock = _accept(listener)
                if sock is None:
                    self._free.release()
                    await anyio.sleep(PAUSE_S)
                    continue
                group.start_soon(self._handle, sock, respond)

    async def _handle(self, sock: socket.socket, respond: Answer) -> None:
        line = Line(self._buffer)
        client = Wire(sock, line)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._close_when_idle, line, group.cancel_scope)
                try:
                    await respond(client)
                except (Refused, Unreachable, Malformed, Ended, OSError):
                    pass  # whoever asked was told, or is gone
                group.cancel_scope.cancel()
        finally:
            client.close()
            self._free.release()

    async def _close_when_idle(self, line: Line, connection: anyio.CancelScope) -> None:
        left_s = self._limits.idle_s
        while left_s > 0:
            await anyio.sleep(left_s)
            left_s = line.moved_at + self._limits.idle_s - time.monotonic()
        connection.cancel()

    async def answer_proxy(self, client: Wire) -> None:
        opened = await HttpConnection(client, self._gate).run()
        if opened is not None:
            await carry(client, self._gate, opened, "https", ports=self._ports)

    async def answer_socks(self, client: Wire) -> None:
        opened = await open_socks(client, self._gate, self._pool)
        if opened is not None:
            await carry(client, self._gate, opened, "socks5", ports=self._ports)

    async def answer_forward(self, host: str, client: Wire) -> None:
        port = client.sock.getsockname()[1]
        allowed = await self._gate.admit(host, port, "https")
        opened = Opened(allowed, Wire(await self._gate.dial(allowed, "https"), client.line))
        await carry(client, self._gate, opened, "https", ports=self._ports)

    async def answer_http(self, client: Wire) -> None:
        name = self._pool.name_of(client.sock.getsockname()[0])
        await HttpConnection(client, self._gate, captured=name or "", port=self._ports.http).run()

    async def answer_https(self, client: Wire) -> None:
        await carry_captured(client, self._gate, self._ports.https)

    async def answer_dns(self, client: Wire) -> None:
        while True:
            await client.need(2)
            length = int.from_bytes(client.take(2))
            await client.need(length)
            reply = answer(client.take(length), self._pool, self._gate.resolvable)
            if reply is None:
                return
            await client.send(len(reply).to_bytes(2) + reply)

    async def answer_datagrams(self, sock: socket.socket) -> None:
        """Answer questions for ever; one that cannot be answered is forgotten."""
        sock.setblocking(False)
        while True:
            await anyio.wait_readable(sock)
            try:
                packet, sender = sock.recvfrom(DATAGRAM_BYTES)
                reply = answer(packet, self._pool, self._gate.resolvable)
                if reply is not None:
                    sock.sendto(reply, sender)
            except OSError:
                continue


def _accept(listener: socket.socket) -> socket.socket | None:
    """Take one connection; None if it is gone again, or there is no descriptor for it."""
    try:
        sock, _ = listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        return None
    return sock
