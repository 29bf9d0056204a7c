"""SOCKS5: names and addresses are judged; nothing but CONNECT is offered."""

from __future__ import annotations

import socket

import pytest

from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.tunnel import Ports
from tests.sandbox.net.world import ALLOWED, Certificate, Origin, curl, network, say

pytestmark = pytest.mark.anyio

GREETING = b"\x05\x01\x00"


def request(host: bytes, port: int, command: int = 1) -> bytes:
    return GREETING + bytes((5, command, 0, 3, len(host))) + host + port.to_bytes(2)


async def test_an_allowed_name_is_reached(
    origin: Origin, tls_origin: Origin, certificate: Certificate
) -> None:
    async with network(ports=Ports(https=tls_origin.port)) as net:
        proxy = ("-x", f"socks5h://127.0.0.1:{net.socks}", "--cacert", str(certificate.path))
        plain = await curl(*proxy, f"http://{ALLOWED}:{origin.port}/")
        tls = await curl(*proxy, f"https://{ALLOWED}:{tls_origin.port}/")

    assert plain == tls == (0, "hello ")


async def test_a_blocked_name_is_refused_at_once(origin: Origin) -> None:
    async with network() as net:
        proxy = f"socks5h://127.0.0.1:{net.socks}"
        code, _ = await curl("-x", proxy, f"http://evil.test:{origin.port}/")

    assert code == 97
    assert origin.connections == 0
    assert net.reasons() == [("evil.test", "not_allowed")]


@pytest.mark.parametrize(
    "host",
    [
        b"allowed.test\0.evil.test",
        b"evil.test\0allowed.test",
        b"allowed.test\r\n",
        b"allowed.test ",
        b"127.1",
        b"0177.0.0.1",
        b"::ffff:127.0.0.1",
        b"[::1]",
        b"fe80::1%lo",
        b"",
        b"allowed\xe2\x80\xa4test",
        b"*.test",
        b"." * 255,
    ],
)
async def test_an_odd_host_is_refused(host: bytes) -> None:
    async with network(HostRules(allow=["**.test"], allow_local=[ALLOWED])) as net:
        got = await say(net.socks, request(host, 80))

    assert got[:4] == b"\x05\x00\x05\x02"
    [blocked] = net.blocked
    assert blocked.reason in ("not_a_host", "not_allowed_local")
    assert str(blocked).isprintable()
    assert str(blocked).replace("…", "").isascii()


async def test_addresses_are_judged_like_names(origin: Origin) -> None:
    address = GREETING + b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1")
    mapped = GREETING + b"\x05\x01\x00\x04" + socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")
    get = b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"
    port = origin.port.to_bytes(2)

    async with network() as net:
        assert (await say(net.socks, address + port))[3] == 2
        assert (await say(net.socks, mapped + port))[3] == 2
        net.gate.rules = HostRules(allow=[f"127.0.0.1:{origin.port}"])
        assert b"hello" in await say(net.socks, address + port + get)
        assert b"hello" in await say(net.socks, mapped + port + get)


async def test_a_made_up_address_stands_for_its_name(origin: Origin) -> None:
    async with network() as net:
        address = socket.inet_aton(net.pool.address_of(ALLOWED))
        head = GREETING + b"\x05\x01\x00\x01" + address + origin.port.to_bytes(2)
        got = await say(net.socks, head + b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")

    assert b"hello" in got


@pytest.mark.parametrize(("command", "code"), [(2, 7), (3, 7), (0, 7), (9, 7)])
async def test_nothing_but_connect_is_offered(command: int, code: int) -> None:
    async with network() as net:
        got = await say(net.socks, request(ALLOWED.encode(), 80, command))

    assert got[:4] == bytes((5, 0, 5, code))


async def test_a_password_is_not_accepted_alone() -> None:
    async with network() as net:
        assert await say(net.socks, b"\x05\x01\x02") == b"\x05\xff"


async def test_an_unreachable_host_is_told_as_such() -> None:
    async with network() as net:
        got = await say(net.socks, request(ALLOWED.encode(), 1))

    assert got[:4] == b"\x05\x00\x05\x04"
    assert not net.blocked


async def test_socks4_is_not_answered() -> None:
    async with network() as net:
        assert await say(net.socks, b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00") == b""
