"""Hostile bytes: the parsers never crash or hang, and no host but the allowed is ever looked up."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.sandbox.net.dns import Pool, answer
from octavo.sandbox.net.http1 import parse_reply, parse_request
from octavo.sandbox.net.sni import read_hello
from octavo.sandbox.net.tunnel import Ports
from octavo.sandbox.net.wire import Malformed
from tests.sampling import sample
from tests.sandbox.net.test_dns import question
from tests.sandbox.net.world import ALLOWED, OTHER, client_hello, network, recorder, say

HELLO = client_hello("evil.test")
HELLOS = [HELLO, client_hello(ALLOWED), client_hello(None)]

EDITS = st.lists(
    st.tuples(st.integers(0, 700), st.integers(0, 3), st.binary(max_size=4)), max_size=6
)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Replace some pieces of `data`."""
    made = bytearray(data)
    for at, removed, added in edits:
        place = at % (len(made) + 1)
        made[place : place + removed] = added
    return bytes(made)


@given(EDITS)
def test_no_edited_handshake_names_what_is_not_in_it(edits: list[tuple[int, int, bytes]]) -> None:
    data = edited(HELLO, edits)
    try:
        hello = read_hello(data)
    except Malformed:
        return
    if hello is not None:
        assert hello.size_bytes <= len(data)
        assert hello.name is None or hello.name.encode() in data.lower()


@given(st.integers(0, len(HELLO)))
def test_a_handshake_is_whole_only_when_all_of_it_is_there(cut: int) -> None:
    hello = read_hello(HELLO[:cut])

    assert (hello is None) is (cut < len(HELLO))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=8))
def test_a_handshake_in_many_records_is_the_same(sizes: list[int]) -> None:
    message, data = HELLO[5:], b""
    for size in (*sizes, len(message)):
        piece, message = message[:size], message[size:]
        if piece:
            data += HELLO[:3] + len(piece).to_bytes(2) + piece

    hello = read_hello(data + b"more")

    assert hello is not None
    assert (hello.name, hello.size_bytes) == ("evil.test", len(data))


@given(EDITS, st.sampled_from([ALLOWED, "evil.test"]), st.integers(0, 300))
def test_no_edited_question_is_answered_for_another_name(
    edits: list[tuple[int, int, bytes]], name: str, kind: int
) -> None:
    known: list[str] = []

    def resolvable(asked: str) -> bool:
        known.append(asked)
        return asked.lower() == ALLOWED

    pool = Pool()
    packet = edited(question(name, kind), edits)

    reply = answer(packet, pool, resolvable)

    if reply is not None and reply[7]:
        assert known == [known[0]]
        assert known[0].lower() == ALLOWED
        assert reply.endswith(bytes((127, 1, 0, 1)))


PIECES = st.sampled_from(
    [
        *(b"GET", b" ", b"http://", b"evil.test", b"/", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b":"),
        *(b"Host: ", b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"5", b"\t", b"\0"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=3), max_size=20).map(b"".join))
def test_no_head_breaks_the_parser(raw: bytes) -> None:
    for parse in (parse_request, lambda raw: parse_reply(raw, "GET")):
        with contextlib.suppress(Malformed):
            parse(raw + b"\r\n\r\n")


HOSTS = [
    *(ALLOWED, OTHER, "evil.test", "127.0.0.1", "169.254.169.254", "[::1]", "0x7f.1"),
    *(f"{ALLOWED}.evil.test", f"evil.test\0{ALLOWED}", f"{ALLOWED}@evil.test"),
    *(f"evil.test#{ALLOWED}", f"evil.test?{ALLOWED}", f"x{ALLOWED}", f"{ALLOWED}%00.evil.test"),
    *(f"{ALLOWED}\r\nHost: evil.test", f"evil.test:80:{ALLOWED}", f"evil.test\\{ALLOWED}"),
]
FIELDS = [
    *("Content-Length: 5", "Content-Length: 6", "Content-Length : 5", "X: y"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Expect: 100-continue"),
    *("Connection: host", "Connection: upgrade", "Upgrade: websocket"),
]


def mostly(dice: random.Random, usual: str, *others: str) -> str:
    """Return the usual thing three times out of four."""
    return dice.choice(others) if dice.random() < 0.25 else usual


def an_http_request(dice: random.Random, port: int) -> bytes:
    """Return a request that may try to mean two hosts."""
    host, other = mostly(dice, ALLOWED, *HOSTS), dice.choice(HOSTS)
    end = mostly(dice, "\r\n", "\r\n", "\n", "\r", "\r\n ")
    target = mostly(dice, "http://{h}:{p}/", "/", "{h}:{p}", "//{h}:{p}/", "HTTP://{h}:{p}", "*")
    method = mostly(dice, "GET", "POST", "CONNECT", "OPTIONS", "get")
    lines = [
        f"{method} {target.format(h=host, p=port)} HTTP/1.{mostly(dice, '1', '0', '2')}",
        f"Host: {mostly(dice, host, other)}:{port}",
        *([f"Host: {other}:{port}"] if dice.random() < 0.1 else []),
        *dice.sample(FIELDS, dice.choice([0, 0, 1, 2])),
    ]
    smuggled = f"GET http://{other}:{port}/ HTTP/1.1\r\nHost: {other}:{port}\r\n\r\n"
    body = dice.choice(["", "", "5\r\nhello\r\n0\r\n\r\n", "hello", smuggled])
    return (end.join(lines) + end + end + body).encode()


def a_socks_request(dice: random.Random, port: int) -> bytes:
    """Return a greeting, a request and perhaps what follows it."""
    name = mostly(dice, ALLOWED, *HOSTS).encode()
    named = bytes((3, len(name))) + name
    place = dice.choice([named] * 5 + [b"\x01\x7f\0\0\1", b"\x04" + bytes(16), b"\x09"])
    method, command = dice.choice([0, 0, 0, 2]), dice.choice([1, 1, 1, 2, 3])
    return (
        bytes((5, 1, method, 5, command, 0))
        + place
        + port.to_bytes(2)
        + dice.choice([b"", *HELLOS])
    )


REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


def scrambled(dice: random.Random, data: bytes) -> bytes:
    """Return `data`, now and then with a few bytes changed, lost or added."""
    made = bytearray(data)
    for _ in range(dice.choice([0, 0, 0, 1, 3])):
        at = dice.randrange(len(made) + 1)
        made[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(3))
    return bytes(made)


@pytest.mark.anyio
@pytest.mark.parametrize("to", ["proxy", "socks", "http", "https", "dns_tcp"])
async def test_whatever_is_said_only_allowed_hosts_are_looked_up(to: str) -> None:
    dice = random.Random(f"{to} 1")
    asked: set[str] = set()

    async def resolve(name: str) -> Sequence[str]:
        asked.add(name)
        return ["127.0.0.1"]

    async with recorder(reply=REPLY) as host:
        ports = Ports(http=host.port, https=host.port if to in ("https", "socks") else 443)
        async with network(resolve=resolve, ports=ports) as net:
            for _ in range(sample(3_000, 60)):
                data = {
                    "proxy": lambda: an_http_request(dice, host.port) * dice.choice([1, 2]),
                    "socks": lambda: a_socks_request(dice, host.port),
                    "http": lambda: an_http_request(dice, host.port),
                    "https": lambda: dice.choice(HELLOS),
                    "dns_tcp": lambda: b"\0\x1c" + question(dice.choice([ALLOWED, "evil.test"])),
                }[to]()
                with anyio.fail_after(20):
                    await say(getattr(net, to), scrambled(dice, data), end=True)

    assert asked <= {ALLOWED, OTHER}
    assert bool(asked) is (to != "dns_tcp")
    assert all(str(blocked).isprintable() for blocked in net.blocked)
    assert b"evil.test" not in b"".join(
        line for line in bytes(host.heard).lower().split(b"\r\n") if line.startswith(b"host:")
    )
