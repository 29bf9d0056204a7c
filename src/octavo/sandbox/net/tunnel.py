"""What goes through a connection that CONNECT, SOCKS or a captured port 443 opened.

TLS has to name the host the connection is for; on port 443 nothing but TLS passes, on port 80
nothing but HTTP, each request judged. On other ports bytes pass as they are, unless they are TLS.
A handshake without a name passes only to an address: names are not sent for those, while every
client sends them for hosts. Inside TLS nothing is read, so a name hidden there (encrypted
ClientHello, a Host field on a server of many) is not seen.
"""

from __future__ import annotations

import anyio
import msgspec

from octavo.sandbox.net import Protocol, Refused, Unreachable
from octavo.sandbox.net.gate import Gate
from octavo.sandbox.net.hosts import as_address, shown
from octavo.sandbox.net.proxy import HttpConnection, Opened, linger
from octavo.sandbox.net.sni import (
    HANDSHAKE,
    MAX_HELLO,
    MAX_RECORD,
    RECORD_BYTES,
    UNRECOGNIZED_NAME,
    Hello,
    is_retry,
    may_be_retry,
    read_hello,
    starts_tls,
)
from octavo.sandbox.net.wire import Ended, Malformed, Wire, splice

HELLO_S = 20.0
_HELLO_LIMIT = 2 * MAX_HELLO
"""With the records around it."""


class Ports(msgspec.Struct, frozen=True):
    """Which ports speak HTTP and TLS; captured connections are dialled on these."""

    http: int = 80
    https: int = 443


async def carry(
    client: Wire, gate: Gate, opened: Opened, protocol: Protocol, *, ports: Ports
) -> None:
    """Pass on what an opened connection is for, until one end closes; then close the host's end.

    Raises:
        Refused, Malformed, Ended, OSError: it was cut off; nobody is told any more.
    """
    try:
        if opened.allowed.port == ports.http:
            await HttpConnection(client, gate, tunnel=opened).run()
        elif opened.allowed.port == ports.https:
            await _carry_tls(client, gate, opened, protocol)
        else:
            await _carry_anything(client, gate, opened, protocol)
    finally:
        opened.upstream.close()


async def carry_captured(client: Wire, gate: Gate, port: int) -> None:
    """Serve a connection to the captured port 443: its TLS handshake says which host it is for."""
    hello = await _hello(client)
    if hello is None or hello.name is None:
        refused = gate.refuse("a captured connection", port, "https", "no_name")
        await _alert(client)
        raise refused
    try:
        allowed = await gate.admit(hello.name, port, "https")
        sock = await gate.dial(allowed, "https")
    except (Refused, Unreachable):
        await _alert(client)
        raise
    upstream = Wire(sock, client.line)
    try:
        await _handshake(client, gate, Opened(allowed, upstream), hello, "https")
    finally:
        upstream.close()


async def _carry_tls(client: Wire, gate: Gate, opened: Opened, protocol: Protocol) -> None:
    hello = await _hello(client)
    allowed = opened.allowed
    if hello is None:
        detail = "what was sent to it is not TLS"
        raise gate.refuse(allowed.host, allowed.port, protocol, "other_name", detail)
    await _check(client, gate, opened, hello, protocol)
    await _handshake(client, gate, opened, hello, protocol)


async def _carry_anything(client: Wire, gate: Gate, opened: Opened, protocol: Protocol) -> None:
    """The host may speak first, so its bytes pass while the client's first ones are awaited."""
    upstream = opened.upstream
    failure: Exception | None = None
    async with anyio.create_task_group() as group:

        async def down() -> None:
            try:
                await upstream.pour(client)
            except OSError:
                group.cancel_scope.cancel()
            client.end()

        group.start_soon(down)
        try:
            if (client.ahead or await client.fill(_HELLO_LIMIT)) and starts_tls(client.ahead):
                hello = await _hello(client)
                if hello is not None:
                    await _check(client, gate, opened, hello, protocol)
            await client.pour(upstream)
            upstream.end()
        except (Refused, Malformed, Ended, OSError) as error:
            failure = error
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _hello(client: Wire) -> Hello | None:
    """Return the ClientHello, leaving its bytes; None if the client does not speak TLS.

    Raises:
        Malformed: it starts like TLS but is odd, or does not arrive in time.
        Ended: the client closed before.
    """
    with anyio.move_on_after(HELLO_S):
        await client.need(1, _HELLO_LIMIT)
        if not starts_tls(client.ahead):
            return None
        while (hello := read_hello(client.ahead)) is None:
            if not await client.fill(_HELLO_LIMIT):
                raise Ended
        return hello
    raise Malformed("the TLS handshake did not arrive in time")


async def _check(
    client: Wire, gate: Gate, opened: Opened, hello: Hello, protocol: Protocol
) -> None:
    """The name in the handshake must be the host the connection is for."""
    allowed = opened.allowed
    if hello.name == allowed.host:
        return
    if hello.name is None and as_address(allowed.host) is not None:
        return
    if hello.name is None:
        refused = gate.refuse(allowed.host, allowed.port, protocol, "no_name")
    else:
        detail = f"the TLS handshake inside names {shown(hello.name)}"
        refused = gate.refuse(allowed.host, allowed.port, protocol, "other_name", detail)
    await _alert(client)
    raise refused


async def _handshake(
    client: Wire, gate: Gate, opened: Opened, hello: Hello, protocol: Protocol
) -> None:
    """Pass the checked ClientHello on, then the rest; a second ClientHello is checked as well.

    What the client sends after the first is held back until the host's answer says whether a
    second one is due: else the name could be changed there.
    """
    upstream = opened.upstream
    await upstream.send(client.take(hello.size_bytes))
    with anyio.move_on_after(HELLO_S) as in_time:
        while may_be_retry(upstream.ahead) and await upstream.fill(_HELLO_LIMIT):
            pass
    if in_time.cancelled_caught:
        raise Ended
    if is_retry(upstream.ahead):
        await client.send(upstream.take(len(upstream.ahead)))
        await _pass_to_second_hello(client, upstream)
        second = await _hello(client)
        if second is None:
            raise Malformed("the second ClientHello is none")
        await _check(client, gate, opened, second, protocol)
    await splice(client, upstream)


async def _pass_to_second_hello(client: Wire, upstream: Wire) -> None:
    """Pass on what may stand between the two: a change of cipher, early data."""
    while True:
        await client.need(RECORD_BYTES, _HELLO_LIMIT)
        if client.ahead[0] == HANDSHAKE:
            return
        size = RECORD_BYTES + int.from_bytes(client.ahead[3:5])
        if size > RECORD_BYTES + MAX_RECORD:
            raise Malformed("a TLS record has an impossible length")
        await client.need(size, _HELLO_LIMIT)
        await upstream.send(client.take(size))


async def _alert(client: Wire) -> None:
    """Tell a TLS client at once that the host is not to be had."""
    await client.send(UNRECOGNIZED_NAME)
    await linger(client)
