"""HTTP through the proxy: what passes, what is blocked, and how it is said."""

from __future__ import annotations

import json
import sys

import anyio
import pytest

from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.tunnel import Ports
from tests.sandbox.net.world import ALLOWED, OTHER, Origin, curl, network, say

pytestmark = pytest.mark.anyio


async def test_an_allowed_host_is_reached(origin: Origin) -> None:
    async with network() as net:
        code, text = await curl("-x", net.proxy_url, f"http://{ALLOWED}:{origin.port}/path?q=1")

    assert (code, text) == (0, "hello ")
    [seen] = origin.seen
    assert (seen.path, seen.host) == ("/path?q=1", f"{ALLOWED}:{origin.port}")
    assert not net.blocked


async def test_a_blocked_host_gets_a_text_that_says_so(origin: Origin) -> None:
    async with network() as net:
        code, text = await curl("-i", "-x", net.proxy_url, f"http://evil.test:{origin.port}/")

    head, _, body = text.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403 Forbidden")
    assert "x-proxy-error: blocked-by-allowlist" in head
    assert body.strip() == (
        f"octavo: evil.test:{origin.port} is not allowed: it is not on the list of hosts."
    )
    assert (code, origin.seen, net.reasons()) == (0, [], [("evil.test", "not_allowed")])


async def test_a_denied_host_is_denied_although_it_is_allowed(origin: Origin) -> None:
    rules = HostRules(allow=["**.test"], deny=["evil.test"])
    async with network(rules) as net:
        _, text = await curl("-i", "-x", net.proxy_url, f"http://evil.test:{origin.port}/")

    assert "x-proxy-error: blocked-by-denylist" in text
    assert net.reasons() == [("evil.test", "denied")]


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize("path", ["chunks", "to-end", "big/300000"])
async def test_every_kind_of_reply_arrives_whole(origin: Origin, path: str, version: str) -> None:
    expected = {"chunks": "one two three", "to-end": "until the end", "big/300000": "\0" * 300_000}

    async with network() as net:
        url = f"http://{ALLOWED}:{origin.port}/{path}"
        code, text = await curl(version, "-x", net.proxy_url, url, "-o", "-")

    assert (code, text) == (0, expected[path])


@pytest.mark.parametrize("extra", [(), ("-H", "Transfer-Encoding: chunked"), ("--http1.0",)])
async def test_a_large_body_arrives_whole(origin: Origin, extra: tuple[str, ...]) -> None:
    data = "x" * 2_000_000

    url = f"http://{ALLOWED}:{origin.port}/"
    async with network() as net:
        done = await anyio.run_process(
            ["curl", "-sS", "-m", "10", "-x", net.proxy_url, "--data-binary", "@-", *extra, url],
            input=data.encode(),
            check=False,
        )

    assert done.stdout.decode() == "hello " + data
    assert origin.seen[0].body.decode() == data


async def test_requests_of_one_connection_share_one_to_the_host(origin: Origin) -> None:
    async with network() as net:
        url = f"http://{ALLOWED}:{origin.port}"
        code, text = await curl(
            *("-x", net.proxy_url, "-w", "%{num_connects} "),
            *(f"{url}/one", f"{url}/two", f"{url}/three"),
        )

    assert (code, text) == (0, "hello 1 hello 0 hello 0 ")
    assert origin.connections == 1


async def test_each_request_of_a_connection_is_judged(origin: Origin) -> None:
    get = "GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
    places = [get.format(host=host, port=origin.port) for host in (ALLOWED, OTHER, "evil.test")]

    async with network() as net:
        got = await say(net.proxy, "".join(places).encode())

    assert got.count(b"200 OK") == 2
    assert got.count(b"403 Forbidden") == 1
    assert [seen.host for seen in origin.seen] == [f"{h}:{origin.port}" for h in (ALLOWED, OTHER)]
    assert origin.connections == 2


async def test_a_redirect_to_another_host_is_judged(origin: Origin) -> None:
    origin.elsewhere = f"http://evil.test:{origin.port}/"

    async with network() as net:
        url = f"http://{ALLOWED}:{origin.port}/redirect"
        code, text = await curl("-L", "-x", net.proxy_url, "-w", "%{http_code}", url)

    assert (code, text.endswith("403")) == (0, True)
    assert [seen.path for seen in origin.seen] == ["/redirect"]


async def test_fields_of_one_hop_and_of_the_proxy_do_not_reach_the_host(origin: Origin) -> None:
    place = f"{ALLOWED}:{origin.port}"
    request = (
        f"GET http://{place}/ HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic eA==\r\n"
        "Connection: close, X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nTE: trailers\r\nX-Kept: 1\r\n\r\n"
    )

    async with network() as net:
        assert b"200 OK" in await say(net.proxy, request.encode())

    assert origin.seen[0].fields == {"host": place, "x-kept": "1"}


async def test_a_websocket_passes(origin: Origin) -> None:
    place = f"{ALLOWED}:{origin.port}"
    request = (
        f"GET http://{place}/websocket HTTP/1.1\r\nHost: {place}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\n\r\nframe"
    )

    async with network() as net:
        got = await say(net.proxy, request.encode())

    assert got.startswith(b"HTTP/1.1 101")
    assert got.endswith(b"\r\n\r\necho:frame")


HOSTILE = {
    "two lengths": "Content-Length: 3\r\nContent-Length: 4\r\n",
    "the same length twice": "Content-Length: 3\r\nContent-Length: 3\r\n",
    "a length and chunks": "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "an odd coding": "Transfer-Encoding: xchunked\r\n",
    "a coding before chunks": "Transfer-Encoding: gzip, chunked\r\n",
    "a negative length": "Content-Length: -3\r\n",
    "a length with a plus": "Content-Length: +3\r\n",
    "a list of lengths": "Content-Length: 3, 3\r\n",
    "a space before the colon": "Content-Length : 3\r\n",
    "a folded field": "X-One: 1\r\n two\r\n",
    "a bare line feed": "X-One: 1\nX-Two: 2\r\n",
    "a bare return": "X-One: 1\rX-Two: 2\r\n",
    "a null byte": "X-One: \0\r\n",
    "two hosts": "Host: {place}\r\n",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_a_request_that_could_be_read_in_two_ways_is_refused(
    origin: Origin, what: str
) -> None:
    place = f"{ALLOWED}:{origin.port}"
    fields = HOSTILE[what].format(place=place)
    request = f"POST http://{place}/ HTTP/1.1\r\nHost: {place}\r\n{fields}\r\nabc"

    async with network() as net:
        got = await say(net.proxy, request.encode())

    assert got.startswith(b"HTTP/1.1 400 ")
    assert origin.seen == []


@pytest.mark.parametrize(
    "chunk", ["3\r\nabcd\r\n0", "3\r\nabcXX0", "3\nabc\r\n0", "-3\r\nabc\r\n0"]
)
async def test_what_follows_odd_chunks_never_reaches_the_host(origin: Origin, chunk: str) -> None:
    place = f"{ALLOWED}:{origin.port}"
    request = (
        f"POST http://{place}/ HTTP/1.1\r\nHost: {place}\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{chunk}\r\n\r\nGET http://{place}/smuggled HTTP/1.1\r\nHost: {place}\r\n\r\n"
    )

    async with network() as net:
        got = await say(net.proxy, request.encode())

    assert got.startswith(b"HTTP/1.1 400 ")
    assert [seen.path for seen in origin.seen] in ([], ["/"])


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://{allowed}/", "evil.test", 403),
        ("http://{allowed}/", OTHER, 403),
        ("http://{allowed}/", "{name}.evil.test", 403),
        ("http://{allowed}@evil.test/", "{allowed}", 400),
        ("http://evil.test#@{allowed}/", "{allowed}", 400),
        ("http://evil.test\\@{allowed}/", "{allowed}", 400),
        ("http://evil.test\\.{name}/", "evil.test\\.{name}", 403),
        ("https://{allowed}/", "{allowed}", 400),
        ("ftp://{allowed}/", "{allowed}", 400),
        ("//{allowed}/", "{allowed}", 400),
        ("/", "{allowed}", 400),
        ("http:///", "{allowed}", 400),
        ("http://{name}:0/", "{name}:0", 400),
        ("http://{name}:80x/", "{name}:80x", 400),
        ("http://{name}:/", "{name}:", 400),
        ("http://[::1]x/", "[::1]x", 400),
        ("http://::1/", "::1", 400),
        ("http://127.0.0.1/", "127.0.0.1", 403),
        ("http://2130706433/", "2130706433", 403),
        ("http://0x7f.1/", "0x7f.1", 403),
        ("http://[::ffff:169.254.169.254]/", "[::ffff:169.254.169.254]", 403),
        ("http://[fe80::1%25eth0]/", "[fe80::1%25eth0]", 403),
        ("http://{name}..test/", "{name}..test", 403),
        ("http://{name}%00.evil.test/", "{name}%00.evil.test", 403),
        ("http://localhost/", "localhost", 403),
    ],
)
async def test_an_odd_address_is_refused(
    origin: Origin, target: str, host: str, status: int
) -> None:
    names = {"allowed": f"{ALLOWED}:{origin.port}", "name": ALLOWED}
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".format(**names)

    async with network() as net:
        got = await say(net.proxy, request.encode())

    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert origin.seen == []


async def test_case_and_the_dot_at_the_end_make_no_other_host(origin: Origin) -> None:
    request = (
        f"GET http://ALLOWED.test.:{origin.port}/ HTTP/1.1\r\nHost: Allowed.TEST:{origin.port}\r\n"
        "Connection: close\r\n\r\n"
    )

    async with network() as net:
        got = await say(net.proxy, request.encode())

    assert got.startswith(b"HTTP/1.1 200 ")
    assert origin.seen[0].host == f"{ALLOWED}:{origin.port}"


async def test_a_host_that_does_not_answer_is_no_blocked_host() -> None:
    async with network() as net:
        code, text = await curl("-i", "-x", net.proxy_url, f"http://{ALLOWED}:1/")

    assert (code, text.splitlines()[0]) == (0, "HTTP/1.1 502 Bad Gateway")
    assert "connection refused" in text
    assert "x-proxy-error" not in text
    assert not net.blocked


async def test_a_name_without_an_address_is_no_blocked_host() -> None:
    async def nowhere(_name: str) -> list[str]:
        raise OSError

    async with network(resolve=nowhere) as net:
        _, text = await curl("-x", net.proxy_url, f"http://{ALLOWED}/")

    assert text.strip() == f"octavo: {ALLOWED} cannot be resolved."


async def test_only_reading_passes_a_limited_network(origin: Origin) -> None:
    async with network(limited=True) as net:
        url = f"http://{ALLOWED}:{origin.port}/"
        _, read = await curl("-x", net.proxy_url, url)
        _, written = await curl("-i", "-x", net.proxy_url, "-d", "x", url)
        _, slipped = await curl("-i", "-x", net.proxy_url, "-X", "GET", "-d", "x", url)
        _, tunnel = await curl("-p", "-x", net.proxy_url, url)

    assert read == "hello "
    assert "x-proxy-error: blocked-by-method-policy" in written
    assert "GET with a body is not allowed" in slipped
    assert "403" in tunnel
    assert len(origin.seen) == 1


async def test_the_rules_can_be_replaced_between_two_requests(origin: Origin) -> None:
    async with network(HostRules()) as net:
        url = f"http://{ALLOWED}:{origin.port}/"
        _, before = await curl("-x", net.proxy_url, url)
        net.gate.rules = HostRules(allow_local=[ALLOWED])
        _, after = await curl("-x", net.proxy_url, url)

    assert "is not allowed" in before
    assert after == "hello "


async def test_programs_that_know_proxy_variables_just_work(origin: Origin) -> None:
    script = (
        "import urllib.request, urllib.error, json, sys\n"
        "def get(url):\n"
        "    try: return urllib.request.urlopen(url, timeout=5).read().decode()\n"
        "    except urllib.error.HTTPError as e: return [e.code, e.headers['x-proxy-error']]\n"
        "print(json.dumps([get(url) for url in sys.argv[1:]]))\n"
    )
    async with network() as net:
        done = await anyio.run_process(
            [sys.executable, "-c", script]
            + [f"http://{host}:{origin.port}/" for host in (ALLOWED, "evil.test")],
            env={"http_proxy": net.proxy_url, "no_proxy": ""},
        )

    assert json.loads(done.stdout) == ["hello ", [403, "blocked-by-allowlist"]]


async def test_captured_http_goes_where_its_host_field_says(origin: Origin) -> None:
    async with network(ports=Ports(http=origin.port)) as net:
        ask = "GET /x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
        good = await say(net.http, ask.format(ALLOWED).encode())
        bad = await say(net.http, ask.format("evil.test").encode())
        none = await say(net.http, b"GET / HTTP/1.0\r\n\r\n")
        tunnel = await say(net.http, b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: a\r\n\r\n")

    assert good.startswith(b"HTTP/1.1 200 ")
    assert bad.startswith(b"HTTP/1.1 403 ")
    assert none.startswith(b"HTTP/1.1 400 ")
    assert tunnel.startswith(b"HTTP/1.1 400 ")
    assert [seen.path for seen in origin.seen] == ["/x"]
