"""Name answers: only allowed names, only made-up addresses, and nothing leaves."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import anyio
import pytest

from octavo.sandbox.net.dns import Pool
from octavo.sandbox.net.rules import HostRules
from tests.sandbox.net.world import ALLOWED, network, say

pytestmark = pytest.mark.anyio

A, AAAA, TXT, MX, CNAME, PTR, HTTPS, ANY, AXFR = 1, 28, 16, 15, 5, 12, 65, 255, 252
NO_ERROR, NO_SUCH_NAME, NOT_IMPLEMENTED, REFUSED = 0, 3, 4, 5


def question(name: str | bytes, kind: int = A, *, flags: int = 0x0100, family: int = 1) -> bytes:
    """Return a question as a resolver sends it."""
    labels = name.encode() if isinstance(name, str) else name
    packed = b"".join(bytes((len(label),)) + label for label in labels.split(b".") if label)
    header = struct.pack(">HHHHHH", 0x1234, flags, 1, 0, 0, 0)
    return header + packed + b"\0" + struct.pack(">HH", kind, family)


def code(reply: bytes) -> int:
    return reply[3] & 15


def addresses(reply: bytes, asked: bytes) -> list[str]:
    """Return the addresses in an answer to `asked`."""
    assert reply[:2] == asked[:2]
    assert reply[12 : len(asked)] == asked[12:]
    (count,) = struct.unpack_from(">H", reply, 6)
    records = reply[len(asked) :]
    assert len(records) == count * 16
    for at in range(0, len(records), 16):
        assert records[at : at + 12] == b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4"
    return [socket.inet_ntoa(records[at + 12 : at + 16]) for at in range(0, len(records), 16)]


async def ask(port: int, packet: bytes) -> bytes:
    """Ask over UDP."""
    async with await anyio.create_connected_udp_socket("127.0.0.1", port) as sock:
        await sock.send(packet)
        with anyio.fail_after(5):
            return await sock.receive()


async def nobody(name: str) -> Sequence[str]:
    raise AssertionError(f"{name} was looked up")


async def test_an_allowed_name_gets_a_made_up_address_that_leads_back_to_it() -> None:
    asked = question(ALLOWED)
    async with network(resolve=nobody) as net:
        reply = await ask(net.dns_udp, asked)
        again = await ask(net.dns_udp, question("ALLOWED.Test"))

    [address] = addresses(reply, asked)
    assert code(reply) == NO_ERROR
    assert address.startswith("127.1.")
    assert net.pool.name_of(address) == ALLOWED
    assert addresses(again, question("ALLOWED.Test")) == [address]


async def test_a_name_that_is_not_allowed_does_not_exist() -> None:
    async with network(resolve=nobody) as net:
        for name in ("evil.test", "secret.data.evil.test", f"x.{ALLOWED}", "test", "localhost"):
            assert code(await ask(net.dns_udp, question(name))) == NO_SUCH_NAME
        assert code(await ask(net.dns_udp, question("evil.test", TXT))) == NO_SUCH_NAME

    assert net.reasons()[0] == ("evil.test", "not_allowed")
    assert len(net.blocked) == 6


async def test_there_are_no_ipv6_addresses() -> None:
    async with network(resolve=nobody) as net:
        reply = await ask(net.dns_udp, question(ALLOWED, AAAA))

    assert code(reply) == NO_ERROR
    assert addresses(reply, question(ALLOWED, AAAA)) == []


@pytest.mark.parametrize("kind", [TXT, MX, CNAME, PTR, HTTPS, ANY, AXFR, 0])
async def test_other_questions_are_refused(kind: int) -> None:
    async with network(resolve=nobody) as net:
        reply = await ask(net.dns_udp, question(ALLOWED, kind))

    assert code(reply) == REFUSED
    assert addresses(reply, question(ALLOWED, kind)) == []


async def test_other_classes_and_operations_are_refused() -> None:
    async with network(resolve=nobody) as net:
        assert code(await ask(net.dns_udp, question(ALLOWED, family=3))) == REFUSED
        update = await ask(net.dns_udp, question(ALLOWED, flags=0x2800))

    assert code(update) == NOT_IMPLEMENTED


MALFORMED = {
    "empty": b"",
    "cut short": question(ALLOWED)[:-1],
    "an answer": question(ALLOWED, flags=0x8180),
    "no question": struct.pack(">HHHHHH", 1, 0x100, 0, 0, 0, 0),
    "two questions": struct.pack(">HHHHHH", 1, 0x100, 2, 0, 0, 0) + question(ALLOWED)[12:] * 2,
    "a pointer": question(ALLOWED)[:12] + b"\xc0\x0c\0\1\0\1",
    "an endless label": question(ALLOWED)[:12] + b"\x3f" + b"a" * 20,
    "no name": question(ALLOWED)[:12] + b"\0\0\1\0\1",
    "not ASCII": question(b"allowed\xff.test"),
    "too long": question(b".".join([b"a" * 60] * 5)),
    "a dot inside a label": question(ALLOWED)[:12] + b"\x0callowed.test\0\0\1\0\1",
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_what_is_malformed_is_not_answered(what: str) -> None:
    async with (
        network(resolve=nobody) as net,
        await anyio.create_connected_udp_socket("127.0.0.1", net.dns_udp) as sock,
    ):
        await sock.send(MALFORMED[what])
        await sock.send(question(ALLOWED))
        with anyio.fail_after(5):
            reply = await sock.receive()

    assert addresses(reply, question(ALLOWED)) == ["127.1.0.1"]


async def test_questions_over_tcp_get_the_same_answers() -> None:
    def framed(packet: bytes) -> bytes:
        return len(packet).to_bytes(2) + packet

    good, bad = question(ALLOWED), question("evil.test")
    async with network(resolve=nobody) as net:
        got = await say(net.dns_tcp, framed(good) + framed(bad), end=True)
        nothing = await say(net.dns_tcp, framed(MALFORMED["an answer"]))

    size = int.from_bytes(got[:2])
    assert addresses(got[2 : 2 + size], good) == ["127.1.0.1"]
    assert code(got[4 + size :]) == NO_SUCH_NAME
    assert nothing == b""


async def test_programs_resolve_as_they_always_do() -> None:
    """A question with the extension record that resolvers add (EDNS)."""
    packet = question(ALLOWED)
    packet = packet[:10] + b"\0\1" + packet[12:] + b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
    async with network(resolve=nobody) as net:
        reply = await ask(net.dns_udp, packet)

    assert code(reply) == NO_ERROR
    assert addresses(reply, question(ALLOWED)) == ["127.1.0.1"]


def test_the_pool_is_bounded_and_forgets_what_was_unused_longest() -> None:
    pool = Pool(2)
    first, second = pool.address_of("a.test"), pool.address_of("b.test")
    assert pool.address_of("a.test") == first

    assert pool.address_of("c.test") == second
    assert pool.name_of(second) == "c.test"
    assert pool.name_of(first) == "a.test"
    assert pool.address_of("b.test") == first
    assert {pool.name_of(first), pool.name_of(second)} == {"b.test", "c.test"}


async def test_a_wildcard_does_not_fill_the_memory() -> None:
    async with network(HostRules(["*.test"]), resolve=nobody) as net:
        seen = {
            addresses(await ask(net.dns_udp, q), q)[0]
            for q in (question(f"n{number}.test") for number in range(300))
        }

    assert len(seen) == 300
    assert all(address.startswith("127.1.") for address in seen)
