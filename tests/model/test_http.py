"""Proxies, certificates, the loopback interface: the way out, over real sockets."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from octavo.model import Completed
from octavo.model.http import is_loopback
from octavo.protocol.errors import ConfigError, ModelBusy
from octavo.trial.scripted import say, serve
from tests.model.asking import ask_at

pytestmark = pytest.mark.anyio
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS settings, and the file of the authority that vouches for it."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Trial CA")
    openssl("req", *key, "-keyout", "key.pem", "-out", "server.csr", "-subj", "/CN=trial")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:model.invalid")
    sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *sign, "-out", "server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")
    return context, folder / "ca.pem"


@asynccontextmanager
async def _tunnel(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that connects every tunnel to `port`; yields its URL and what it was asked for."""
    asked: list[str] = []

    async def pump(source: SocketStream, target: SocketStream) -> None:
        try:
            async for data in source:
                await target.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        await target.aclose()

    async def tunnel(client: SocketStream) -> None:
        async with client:
            head = await client.receive()
            asked.append(head.partition(b"\r\n")[0].decode())
            async with await anyio.connect_tcp("127.0.0.1", port) as server:
                await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                async with anyio.create_task_group() as group:
                    group.start_soon(pump, client, server)
                    group.start_soon(pump, server, client)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, tunnel)
        own_port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{own_port}", asked
        group.cancel_scope.cancel()


@needs_openssl
async def test_a_server_vouched_for_by_the_users_own_authority_is_trusted(
    certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certified
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    async with serve([say("Hi.")], tls=context) as server:
        chunks = await ask_at(server.base_url)

    assert isinstance(chunks[-1], Completed)


@needs_openssl
async def test_a_server_that_nobody_vouches_for_is_not_trusted(
    certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    async with serve([say("Hi.")], tls=certified[0]) as server:
        with pytest.raises(ModelBusy, match=r"not trusted.*SSL_CERT_FILE"):
            await ask_at(server.base_url)
        assert server.requests == []


@pytest.mark.parametrize("text", [None, "no certificate", ""])
async def test_certificates_that_cannot_be_used_are_named(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        await ask_at("https://model.invalid/v1")


async def test_http_goes_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve([say("Hi.")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        chunks = await ask_at("http://model.invalid/v1")

    assert isinstance(chunks[-1], Completed)
    assert proxy.requests[0].path == "http://model.invalid/v1/responses"


@needs_openssl
async def test_https_goes_through_a_tunnel_of_the_proxy(
    certified: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certified
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    async with serve([say("Hi.")], tls=context) as server, _tunnel(server.port) as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        chunks = await ask_at("https://model.invalid/v1")

    assert isinstance(chunks[-1], Completed)
    assert asked == ["CONNECT model.invalid:443 HTTP/1.1"]


async def test_hosts_in_no_proxy_are_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve([say("Hi.")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "model.invalid")
        with anyio.move_on_after(3):
            with pytest.raises(ModelBusy):
                await ask_at("http://model.invalid/v1")

    assert proxy.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_loopback_interface_needs_no_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve([say("Hi.")]) as server, serve() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        chunks = await ask_at(server.base_url.replace("127.0.0.1", host))

    assert isinstance(chunks[-1], Completed)
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://localhost/v1", True),
        ("https://LOCALHOST:1", True),
        ("http://[::1]:8080/v1", True),
        ("http://127.evil.example/v1", False),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://localhost.evil.example/v1", False),
        ("http://localhost@evil.example/v1", False),
        ("http://evil.example/127.0.0.1", False),
    ],
)
def test_only_this_machine_is_the_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) == local


def test_a_transport_is_made_without_the_tracing_library_and_leaves_it_usable() -> None:
    code = """
import sys
from octavo.model.http import open_transport
open_transport("https://model.invalid/v1", {}, idle_timeout_s=1)
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
import opentelemetry.trace
assert opentelemetry.trace.SpanKind.CLIENT is not None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
