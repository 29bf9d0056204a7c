"""Tunnels: the TLS handshake inside has to name the host the tunnel is for."""

from __future__ import annotations

import sys

import anyio
import pytest

from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.sni import UNRECOGNIZED_NAME
from octavo.sandbox.net.tunnel import Ports
from tests.sandbox.net.world import (
    ALLOWED,
    OTHER,
    Certificate,
    Origin,
    client_hello,
    connect_through,
    curl,
    network,
    read_all,
    recorder,
    running,
    say,
)

pytestmark = pytest.mark.anyio

RETRY = bytes.fromhex(
    "160303003a 02000036 0303 cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
    "00 1301 00 000e 002b00020304 003300020018"
)
"""What a server says that wants another ClientHello."""


@pytest.mark.parametrize("tls_port", [True, False], ids=["on-443", "on-another-port"])
async def test_tls_through_connect_reaches_the_host(
    tls_origin: Origin, certificate: Certificate, tls_port: bool
) -> None:
    async with network(ports=Ports(https=tls_origin.port if tls_port else 443)) as net:
        code, text = await curl(
            *("-x", net.proxy_url, "--cacert", str(certificate.path)),
            f"https://{ALLOWED}:{tls_origin.port}/",
        )

    assert (code, text) == (0, "hello ")
    assert not net.blocked


async def test_connect_to_a_blocked_host_is_refused_at_once(tls_origin: Origin) -> None:
    async with network() as net:
        code, text = await curl("-x", net.proxy_url, f"https://evil.test:{tls_origin.port}/")

    assert code == 56
    assert "403" in text
    assert net.reasons() == [("evil.test", "not_allowed")]
    assert tls_origin.connections == 0


@pytest.mark.parametrize("tls_port", [True, False], ids=["on-443", "on-another-port"])
@pytest.mark.parametrize("name", ["evil.test", OTHER, f"{ALLOWED}.evil.test", None])
async def test_another_name_in_the_handshake_is_cut_off(name: str | None, tls_port: bool) -> None:
    async with (
        recorder() as host,
        network(ports=Ports(https=host.port if tls_port else 443)) as net,
        await connect_through(net, f"{ALLOWED}:{host.port}") as stream,
    ):
        await stream.send(client_hello(name))
        got = await read_all(stream)

    assert got == UNRECOGNIZED_NAME
    assert host.heard == b""
    assert net.reasons() == [(ALLOWED, "no_name" if name is None else "other_name")]


async def test_a_handshake_without_a_name_passes_to_an_address(
    tls_origin: Origin, certificate: Certificate
) -> None:
    rules = HostRules(allow=["127.0.0.1"])
    async with network(rules, ports=Ports(https=tls_origin.port)) as net:
        code, text = await curl(
            *("-x", net.proxy_url, "--cacert", str(certificate.path)),
            f"https://127.0.0.1:{tls_origin.port}/",
        )

    assert (code, text) == (0, "hello ")


async def test_only_tls_passes_on_its_port() -> None:
    async with (
        recorder() as host,
        network(ports=Ports(https=host.port)) as net,
        await connect_through(net, f"{ALLOWED}:{host.port}") as stream,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        assert await read_all(stream) == b""

    assert host.heard == b""
    assert net.reasons() == [(ALLOWED, "other_name")]


async def test_a_handshake_in_pieces_is_read_all_the_same(
    tls_origin: Origin,
) -> None:
    hello = client_hello(ALLOWED)

    async with (
        network(ports=Ports(https=tls_origin.port)) as net,
        await connect_through(net, f"{ALLOWED}:{tls_origin.port}") as stream,
    ):
        for byte in hello:
            await stream.send(bytes((byte,)))
        with anyio.fail_after(10):
            got = await stream.receive()

    assert got.startswith(b"\x16\x03\x03")


async def test_a_real_retry_of_the_handshake_passes(certificate: Certificate) -> None:
    context = certificate.server_context()
    context.set_ecdh_curve("secp384r1")  # clients offer another curve first
    with running(Origin(context)) as origin:
        async with network(ports=Ports(https=origin.port)) as net:
            code, text = await curl(
                *("-x", net.proxy_url, "--cacert", str(certificate.path)),
                f"https://{ALLOWED}:{origin.port}/",
            )

    assert (code, text) == (0, "hello ")


@pytest.mark.parametrize("waits", [True, False], ids=["after-the-retry", "at-once"])
async def test_a_second_handshake_cannot_name_another_host(waits: bool) -> None:
    change_cipher = b"\x14\x03\x03\x00\x01\x01"
    async with recorder(reply=RETRY) as host, network(ports=Ports(https=host.port)) as net:
        async with await connect_through(net, f"{ALLOWED}:{host.port}") as stream:
            first, second = client_hello(ALLOWED), change_cipher + client_hello("evil.test")
            await stream.send(first if waits else first + second)
            with anyio.fail_after(10):
                got = await stream.receive()
            if waits:
                await stream.send(second)
            got += await read_all(stream)
        await host.ended.wait()

    assert got == RETRY + UNRECOGNIZED_NAME
    assert host.heard == first + change_cipher
    assert net.reasons() == [(ALLOWED, "other_name")]


async def test_captured_tls_goes_where_its_handshake_says(
    tls_origin: Origin, certificate: Certificate
) -> None:
    async with network(ports=Ports(https=tls_origin.port)) as net:
        good = await curl(
            *("--cacert", str(certificate.path), "--noproxy", "*"),
            *("--connect-to", f"::127.0.0.1:{net.https}", f"https://{ALLOWED}/"),
        )
        bad = await curl(
            *("--cacert", str(certificate.path), "--noproxy", "*"),
            *("--connect-to", f"::127.0.0.1:{net.https}", "https://evil.test/"),
        )
        nameless = await say(net.https, client_hello(None))
        plain = await say(net.https, b"GET / HTTP/1.1\r\n\r\n")

    assert good == (0, "hello ")
    assert bad[0] == 35
    assert "unrecognized name" in bad[1]
    assert nameless == UNRECOGNIZED_NAME
    assert plain == UNRECOGNIZED_NAME
    assert [seen.host for seen in tls_origin.seen] == [ALLOWED]


async def test_plain_http_in_a_tunnel_is_judged_request_by_request(origin: Origin) -> None:
    async with network(ports=Ports(http=origin.port)) as net:
        place = f"{ALLOWED}:{origin.port}"
        code, text = await curl("-p", "-x", net.proxy_url, f"http://{place}/")
        async with await connect_through(net, place) as stream:
            for host in (place, f"{OTHER}:{origin.port}"):
                await stream.send(f"GET /second HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            got = await read_all(stream)

    assert (code, text) == (0, "hello ")
    assert got.count(b"200 OK") == 1
    assert got.count(b"403 Forbidden") == 1
    assert [seen.host for seen in origin.seen] == [place, place]


async def test_a_whole_address_in_a_tunnel_cannot_name_another_host(origin: Origin) -> None:
    place = f"{OTHER}:{origin.port}"
    request = f"GET http://{place}/ HTTP/1.1\r\nHost: {place}\r\n\r\n".encode()
    async with (
        network(ports=Ports(http=origin.port)) as net,
        await connect_through(net, f"{ALLOWED}:{origin.port}") as stream,
    ):
        await stream.send(request)
        got = await read_all(stream)

    assert got.startswith(b"HTTP/1.1 403 ")
    assert origin.seen == []


async def test_a_host_that_speaks_first_is_heard() -> None:
    async with recorder(b"220 ready\r\n", reply=b"250 hello\r\n") as host, network() as net:
        async with await connect_through(net, f"{ALLOWED}:{host.port}") as stream:
            with anyio.fail_after(10):
                assert await stream.receive() == b"220 ready\r\n"
                await stream.send(b"EHLO x\r\n")
                assert await stream.receive() == b"250 hello\r\n"
        await host.ended.wait()

    assert host.heard == b"EHLO x\r\n"


async def test_half_a_tunnel_can_be_closed() -> None:
    async with (
        recorder(reply=b"late") as host,
        network() as net,
        await connect_through(net, f"{ALLOWED}:{host.port}") as stream,
    ):
        await stream.send(b"all of it")
        await stream.send_eof()
        got = await read_all(stream)

    assert got == b"late"
    assert host.heard == b"all of it"


async def test_much_data_passes_unchanged_in_both_directions(
    tls_origin: Origin, certificate: Certificate
) -> None:
    script = (
        "import ssl, sys, urllib.request as u\n"
        "c = ssl.create_default_context(cafile=sys.argv[2])\n"
        "data = bytes(range(256)) * 20000\n"
        "got = u.urlopen(u.Request(sys.argv[1], data=data), timeout=30, context=c).read()\n"
        "assert got == b'hello ' + data\n"
    )
    async with network(ports=Ports(https=tls_origin.port)) as net:
        url = f"https://{ALLOWED}:{tls_origin.port}/"
        await anyio.run_process(
            [sys.executable, "-c", script, url, str(certificate.path)],
            env={"https_proxy": net.proxy_url, "no_proxy": ""},
        )
