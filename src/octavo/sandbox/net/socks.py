"""SOCKS5 (RFC 1928): CONNECT by name or address, nobody asked who they are. Nothing else.

Binding ports and UDP are refused. A made-up address of our own DNS stands for its name.
"""

from __future__ import annotations

import socket

import anyio

from octavo.sandbox.net import Refused, Unreachable
from octavo.sandbox.net.dns import Pool
from octavo.sandbox.net.gate import Gate
from octavo.sandbox.net.hosts import shown
from octavo.sandbox.net.proxy import Opened, linger
from octavo.sandbox.net.wire import Malformed, Wire

GREETING_S = 20.0
MAX_GREETING = 1024

_VERSION = 5
_NO_AUTHENTICATION = 0
_NOTHING_ACCEPTABLE = 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GRANTED = 0
_NOT_ALLOWED = 2
_UNREACHABLE = 4
_NO_SUCH_COMMAND = 7
_NO_SUCH_ADDRESS_TYPE = 8


async def open_socks(client: Wire, gate: Gate, pool: Pool) -> Opened | None:
    """Do the greeting and the request; None if nothing was opened, which the client was told.

    Raises:
        Malformed, Ended, OSError: there is nobody to tell.
    """
    place = None
    with anyio.move_on_after(GREETING_S) as in_time:
        place = await _request(client, gate, pool)
    if in_time.cancelled_caught:
        raise Malformed("the SOCKS greeting did not arrive in time")
    return None if place is None else await _open(client, gate, *place)


async def _request(client: Wire, gate: Gate, pool: Pool) -> tuple[str, int] | None:
    """Return what the client wants to reach."""
    version, count = await _bytes(client, 2)
    if version != _VERSION:
        raise Malformed("it is not SOCKS5")
    if _NO_AUTHENTICATION not in await _bytes(client, count):
        await client.send(bytes((_VERSION, _NOTHING_ACCEPTABLE)))
        return None
    await client.send(bytes((_VERSION, _NO_AUTHENTICATION)))
    version, command, reserved, kind = await _bytes(client, 4)
    if version != _VERSION or reserved != 0:
        raise Malformed("it is not a SOCKS5 request")
    raw = await _host_bytes(client, kind)
    if raw is None:
        await _answer(client, _NO_SUCH_ADDRESS_TYPE)
        return None
    port = int.from_bytes(await _bytes(client, 2))
    if command != _CONNECT:
        await _answer(client, _NO_SUCH_COMMAND)
        return None
    if kind == _NAME:
        host = raw.decode("latin-1")
        if not host.isascii():
            gate.refuse(shown(host), port, "socks5", "not_a_host", "it is not ASCII")
            await _answer(client, _NOT_ALLOWED)
            return None
        return host, port
    address = socket.inet_ntop(socket.AF_INET if kind == _IPV4 else socket.AF_INET6, raw)
    return pool.name_of(address) or address, port


async def _open(client: Wire, gate: Gate, host: str, port: int) -> Opened | None:
    if not port:
        gate.refuse(shown(host), port, "socks5", "not_a_host", "there is no port 0")
        await _answer(client, _NOT_ALLOWED)
        return None
    try:
        allowed = await gate.admit(host, port, "socks5")
        sock = await gate.dial(allowed, "socks5")
    except Refused:
        await _answer(client, _NOT_ALLOWED)
        return None
    except Unreachable:
        await _answer(client, _UNREACHABLE)
        return None
    try:
        await client.send(_reply(_GRANTED))
    except BaseException:
        sock.close()
        raise
    return Opened(allowed, Wire(sock, client.line))


async def _host_bytes(client: Wire, kind: int) -> bytes | None:
    if kind == _IPV4:
        return await _bytes(client, 4)
    if kind == _IPV6:
        return await _bytes(client, 16)
    if kind == _NAME:
        (length,) = await _bytes(client, 1)
        return await _bytes(client, length)
    return None


async def _bytes(client: Wire, count: int) -> bytes:
    await client.need(count, MAX_GREETING)
    return client.take(count)


async def _answer(client: Wire, code: int) -> None:
    await client.send(_reply(code))
    await linger(client)


def _reply(code: int) -> bytes:
    return bytes((_VERSION, code, 0, _IPV4)) + bytes(6)
