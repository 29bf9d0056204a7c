"""An outside to reach: real servers for plain HTTP and TLS, and a network in front of them.

Names are made up; the injected resolver says that each is at 127.0.0.1, and the rules list them as
local, which is the only difference to names of the internet.
"""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest

from octavo.sandbox.net import Ask, Blocked, Listeners, Resolve
from octavo.sandbox.net.dns import Pool
from octavo.sandbox.net.gate import Gate
from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.serve import Limits, serve
from octavo.sandbox.net.tunnel import Ports

ALLOWED = "allowed.test"
OTHER = "other.test"


class Seen(msgspec.Struct):
    """One request that reached a server."""

    method: str
    path: str
    host: str
    fields: dict[str, str]
    body: bytes


class Origin(http.server.ThreadingHTTPServer):
    """A server of the outside, which remembers what reached it."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.seen: list[Seen] = []
        self.connections = 0
        self.elsewhere = ""
        """Where /redirect leads."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, object]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is nothing to print."""


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self) -> None:
        fields = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, fields.get("host", ""), fields, self._body())
        self.server.seen.append(seen)
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", self.server.elsewhere)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one ", b"two ", b"three"):
                self.wfile.write(b"%x;ext=1\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
        elif self.path == "/to-end":
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"until the end")
            self.close_connection = True
        elif self.path == "/websocket":
            self.send_response_only(101)
            self.send_header("Connection", "upgrade")
            self.send_header("Upgrade", "websocket")
            self.end_headers()
            self.wfile.write(b"echo:" + self.rfile.read(5))
            self.close_connection = True
        elif self.path.startswith("/big/"):
            count = int(self.path.removeprefix("/big/"))
            self.send_response(200)
            self.send_header("Content-Length", str(count))
            self.end_headers()
            block = bytes(1 << 20)
            while count:
                count -= self.connection.send(block[: min(count, len(block))])
        else:
            text = b"hello " + seen.body
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_HEAD = do_OPTIONS = do_DELETE = _answer  # noqa: N815 (the library's names)


@contextlib.contextmanager
def running(origin: Origin) -> Iterator[Origin]:
    thread = threading.Thread(target=origin.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield origin
    finally:
        origin.shutdown()
        origin.server_close()
        thread.join()


class Certificate(msgspec.Struct, frozen=True):
    """A certificate for every name the tests use, and its own authority."""

    path: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


def make_certificate(place: Path) -> Certificate:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make a test certificate")
    made = Certificate(place / "cert.pem", place / "key.pem")
    names = ",".join(f"DNS:{name}" for name in (ALLOWED, OTHER, "evil.test"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=octavo test", "-keyout", str(made.key)),
            *("-out", str(made.path), "-addext", f"subjectAltName={names},IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return made


class Network(msgspec.Struct, frozen=True):
    """A network that is being served, and what it has blocked."""

    gate: Gate
    pool: Pool
    blocked: list[Blocked]
    proxy: int
    socks: int
    dns_udp: int
    dns_tcp: int
    http: int
    https: int

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.proxy}"

    def reasons(self) -> list[tuple[str, str]]:
        return [(blocked.host, blocked.reason) for blocked in self.blocked]


async def at_home(_name: str) -> Sequence[str]:
    return ["127.0.0.1"]


@contextlib.asynccontextmanager
async def network(
    rules: HostRules | None = None,
    *,
    resolve: Resolve = at_home,
    ask: Ask | None = None,
    limited: bool = False,
    limits: Limits | None = None,
    ports: Ports | None = None,
) -> AsyncIterator[Network]:
    """Serve a network on sockets of its own; the allowed names are ALLOWED and OTHER."""
    sockets = {name: socket.socket() for name in ("proxy", "socks", "dns_tcp", "http", "https")}
    sockets["dns_udp"] = socket.socket(type=socket.SOCK_DGRAM)
    for sock in sockets.values():
        sock.bind(("127.0.0.1", 0))
    served = served_on(
        sockets, rules, resolve=resolve, ask=ask, limited=limited, limits=limits, ports=ports
    )
    async with served as net:
        yield net


@contextlib.asynccontextmanager
async def served_on(
    sockets: dict[str, socket.socket],
    rules: HostRules | None = None,
    *,
    resolve: Resolve = at_home,
    ask: Ask | None = None,
    limited: bool = False,
    limits: Limits | None = None,
    ports: Ports | None = None,
) -> AsyncIterator[Network]:
    """Serve a network on bound sockets, which may be another namespace's."""
    blocked: list[Blocked] = []
    gate = Gate(
        rules or HostRules(allow_local=[ALLOWED, OTHER]),
        on_blocked=blocked.append,
        ask=ask,
        resolve=resolve,
        limited=limited,
    )
    pool = Pool()
    numbers = {name: sock.getsockname()[1] for name, sock in sockets.items()}
    for name, sock in sockets.items():
        if name != "dns_udp":
            sock.listen()  # so that a test can connect before the first accept
    async with anyio.create_task_group() as group:

        async def run() -> None:
            await serve(
                Listeners(**sockets),
                gate,
                pool=pool,
                limits=limits or Limits(),
                ports=ports or Ports(),
            )

        group.start_soon(run)
        yield Network(gate=gate, pool=pool, blocked=blocked, **numbers)
        group.cancel_scope.cancel()


async def curl(*arguments: str) -> tuple[int, str]:
    """Run curl; return its exit status and what it printed."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = await anyio.run_process(["curl", "-sS", "-m", "10", *arguments], check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


async def say(port: int, data: bytes, *, end: bool = False) -> bytes:
    """Send bytes, and return all that comes back until the other side closes."""
    got = b""
    with anyio.fail_after(20):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(data)
            if end:
                await stream.send_eof()
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    got += await stream.receive()
    return got


def client_hello(name: str | None) -> bytes:
    """Return the first bytes a real TLS client sends when it asks for `name`."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    context.verify_mode = ssl.CERT_NONE if name is None else ssl.CERT_REQUIRED
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


class Recorder(msgspec.Struct):
    """A host that says one thing to whoever connects, and keeps what it hears."""

    port: int
    heard: bytearray
    ended: anyio.Event


@contextlib.asynccontextmanager
async def recorder(greeting: bytes = b"", *, reply: bytes = b"") -> AsyncIterator[Recorder]:
    """Listen; send `greeting` at once, and `reply` after the first bytes."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    made = Recorder(port, bytearray(), anyio.Event())

    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                if greeting:
                    await stream.send(greeting)
                made.heard += await stream.receive()
                if reply:
                    await stream.send(reply)
                while True:
                    made.heard += await stream.receive()
            made.ended.set()

    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield made
        group.cancel_scope.cancel()


async def connect_through(net: Network, place: str) -> anyio.abc.SocketStream:
    """Return a stream for which the proxy has granted CONNECT to `place`."""
    stream = await anyio.connect_tcp("127.0.0.1", net.proxy)
    await stream.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += await stream.receive(1)
    assert got.startswith(b"HTTP/1.1 200 "), got
    return stream


async def read_all(stream: anyio.abc.SocketStream) -> bytes:
    """Return what still comes, until the other side closes."""
    got = b""
    with anyio.fail_after(20), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            got += await stream.receive()
    return got
