"""`octavo app-server --listen ws://…` as programs meet it: a real process, and a foreign client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from octavo.client import connect as octavo_connect
from octavo.client.websocket import websocket_link
from octavo.protocol.errors import OctavoError, UsageError
from octavo.protocol.methods import THREAD_LIST, ThreadListParams, ThreadStartParams
from octavo.server.gate import Gate, holds_token
from octavo.server.listen_ws import Door
from octavo.trial import scripted
from octavo.trial.scripted import say
from tests.scenarios.playing import playing
from tests.server.programs import HELLO, OCTAVO, Program, connected, program
from tests.server.test_gate import SECRET, signed

pytestmark = pytest.mark.anyio

GUIDE = Path(__file__).parents[2] / "docs/guide/websocket.md"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "octavo-home"


class Listening:
    """A server that listens: where, and what it wants to be shown."""

    def __init__(self, server: Program, url: str, token: str) -> None:
        self.server = server
        self.url = url
        self.token = token

    @asynccontextmanager
    async def client(self, **more: Any) -> AsyncIterator[ClientConnection]:
        shown = {"Authorization": f"Bearer {self.token}"}
        async with connect(self.url, additional_headers=shown, proxy=None, **more) as client:
            await ask(client, "initialize", HELLO)
            yield client


@asynccontextmanager
async def listening(home: Path, *words: str, **more: Any) -> AsyncIterator[Listening]:
    async with program(home, "--listen", "ws://127.0.0.1:0", *words, **more) as server:
        assert server.process.stderr is not None
        said = ""
        with anyio.fail_after(30):
            while (found := re.search(r"Listening at (ws://\S+)\.\n", said)) is None:
                line = await server.process.stderr.readline()
                assert line, said
                said += line.decode()
        token = home / "app-server.token"
        yield Listening(server, found[1], token.read_text().strip() if token.exists() else "")


async def ask(client: ClientConnection, method: str, params: Any = None) -> Any:
    """Call a method; what is told meanwhile is passed over."""
    await client.send(json.dumps({"id": method, "method": method, "params": params}))
    with anyio.fail_after(30):
        async for message in client:
            answer = json.loads(message)
            if answer.get("id") == method:
                return answer.get("result") or answer["error"]
    raise AssertionError("it closed")


async def until(client: ClientConnection, method: str) -> list[dict[str, Any]]:
    seen = []
    with anyio.fail_after(30):
        async for message in client:
            seen.append(json.loads(message))
            if seen[-1].get("method") == method:
                return seen
    raise AssertionError(seen)


async def test_a_turn_over_a_websocket_and_a_second_client_that_joins(
    home: Path, workspace: Path
) -> None:
    async with (
        scripted.serve([say("Hello.", deltas=3)]) as model,
        listening(home, base_url=model.base_url) as at,
        at.client() as one,
        at.client() as two,
    ):
        started = await ask(one, "thread/start", {"cwd": str(workspace)})
        thread_id = started["thread"]["id"]
        joined = await ask(two, "thread/resume", {"threadId": thread_id})
        asked = {"threadId": thread_id, "input": [{"type": "text", "text": "hi"}]}
        await one.send(json.dumps({"id": 7, "method": "turn/start", "params": asked}))
        told = await until(two, "turn/completed")
        at.server.signal(signal.SIGTERM)
        with anyio.fail_after(30):
            await one.wait_closed()
            await two.wait_closed()
        code, _ = await at.server.end()

    assert joined["thread"]["id"] == thread_id
    assert "".join(m["params"].get("delta", "") for m in told) == "Hello."
    assert (one.close_code, code) == (1001, 0)


async def test_at_a_unix_socket_each_client_speaks_as_it_likes(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    async with program(home, "--listen", f"unix://{path}") as server:
        assert server.process.stderr is not None
        await server.process.stderr.readline()
        async with connected(path) as lines, unix_connect(str(path)) as websocket:
            await ask(websocket, "initialize", HELLO)
            found = await ask(websocket, "thread/list")
            assert (await lines.call("thread/list"))["data"] == found["data"] == []
            _, silent = await asyncio.open_unix_connection(path)
            server.signal(signal.SIGTERM)
            with anyio.fail_after(30):
                await websocket.wait_closed()
        code, _ = await server.end()
        silent.close()

    assert code == 0


async def test_the_token_is_made_once_and_is_its_owners_alone(home: Path) -> None:
    async with listening(home) as at:
        first = at.token
    async with listening(home) as at:
        assert at.token == first

    assert len(first) > 40
    assert stat.S_IMODE((home / "app-server.token").stat().st_mode) == 0o600


async def test_commands_cannot_read_the_token(home: Path, workspace: Path) -> None:
    async with listening(home) as at:
        shown = await anyio.run_process(
            [str(OCTAVO), "sandbox", "--", "cat", str(home / "app-server.token")],
            cwd=workspace,
            env={**os.environ, "OCTAVO_HOME": str(home)},
            check=False,
        )

    assert shown.returncode != 0
    assert at.token.encode() not in shown.stdout + shown.stderr


async def test_strangers_browsers_and_other_names_are_refused(home: Path) -> None:
    async with listening(home) as at:
        right = {"Authorization": f"Bearer {at.token}"}
        statuses = []
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            right | {"Origin": "http://localhost"},
        ):
            with pytest.raises(InvalidStatus) as refused:
                await connect(at.url, additional_headers=headers, proxy=None)
            statuses.append(refused.value.response.status_code)
        port = int(at.url.rpartition(":")[2])
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://evil.example:{port}",
                host="127.0.0.1",
                port=port,
                additional_headers=right,
                proxy=None,
            )
        statuses.append(refused.value.response.status_code)

    assert statuses == [401, 401, 403, 403]


async def test_whether_it_is_there_can_be_asked_with_http(home: Path) -> None:
    async with listening(home) as at:
        port = int(at.url.rpartition(":")[2])
        answers = [await http(port, f"GET {path} HTTP/1.1") for path in ("/healthz", "/readyz")]
        other = await http(port, "GET / HTTP/1.1")
        junk = await http(port, "\x16\x03\x01 what?")

    assert [answer.partition("\r\n")[0] for answer in answers] == ["HTTP/1.1 200 OK"] * 2
    assert other.startswith("HTTP/1.1 401 ")
    assert "Access-Control" not in "".join(answers)
    assert junk == ""


async def http(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request}\r\nHost: localhost\r\n\r\n".encode())
    with anyio.fail_after(30):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_only_so_many_strangers_wait_at_a_time(home: Path) -> None:
    async with listening(home) as at:
        port = int(at.url.rpartition(":")[2])
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(64)]
        refused = await health(port)
        waiting.pop()[1].close()
        with anyio.fail_after(30):
            while await health(port) != "200":
                pass
        at.server.signal(signal.SIGTERM)
        code, _ = await at.server.end()
        for _, writer in waiting:
            writer.close()

    assert refused in ("503", "reset")
    assert code == 0


async def health(port: int) -> str:
    try:
        return (await http(port, "GET /healthz HTTP/1.1")).split(" ")[1]
    except ConnectionError:  # closed before it had read all of the question
        return "reset"


async def test_what_is_no_message_ends_the_connection_and_says_why(home: Path) -> None:
    async with listening(home) as at:
        async with at.client() as binary:
            await binary.send(b"{}")
            with anyio.fail_after(30):
                await binary.wait_closed()
        async with at.client(max_size=None) as long:
            half = "x" * (33 << 20)
            with suppress(ConnectionClosed):
                await long.send([half, half])
            with anyio.fail_after(30):
                await long.wait_closed()
        async with at.client() as good:
            await good.send("no JSON")
            refusal = json.loads(await good.recv())
            again = await ask(good, "thread/list")

    assert (binary.close_code, long.close_code) == (1003, 1009)
    assert refusal["error"]["code"] == -32700
    assert again["data"] == []


async def test_a_client_that_does_not_read_is_cut_off_and_told_why(workspace: Path) -> None:
    ours, theirs = socket.socketpair()
    said: list[str] = []
    gate = Gate(holds_token(sha256(b"token").digest()))
    shown = {"Authorization": "Bearer token"}
    async with playing([say("x" * (8 << 20), deltas=256)], workspace) as play:
        door = Door(play.server, gate, said.append, cut_off_bytes=1 << 20)
        async with anyio.create_task_group() as group:
            group.start_soon(door.welcome, ours)
            async with connect(
                "ws://localhost", sock=theirs, additional_headers=shown, proxy=None
            ) as slow:
                await ask(slow, "initialize", HELLO)
                await ask(slow, "thread/resume", {"threadId": play.thread_id})
                turn = await play.turn("hi")
                with anyio.fail_after(30):
                    told = [json.loads(message) async for message in until_closed(slow)]

    assert turn.status == "completed"
    assert told[-1]["params"]["octavoCode"] == "client.dropped"
    assert slow.close_code == 1008
    assert slow.close_reason is not None
    assert "did not read" in slow.close_reason
    assert "did not read" in said[0]


async def until_closed(client: ClientConnection) -> AsyncIterator[str | bytes]:
    while True:
        try:
            yield await client.recv()
        except ConnectionClosed:
            return


async def test_octavos_own_client_connects_and_is_told_what_is_wrong(
    home: Path, workspace: Path
) -> None:
    async with listening(home) as at:
        async with (
            websocket_link(at.url, token=at.token) as link,
            octavo_connect(link, name="tests", version="1", answer=nobody) as client,
        ):
            started = await client.start_thread(ThreadStartParams(cwd=str(workspace)))
        with pytest.raises(OctavoError, match="401"):
            async with websocket_link(at.url, token="wrong"):
                pass
    with pytest.raises(OctavoError, match="Nobody answers"):
        async with websocket_link(at.url, token="wrong"):
            pass
    for url in ("ws://10.1.2.3:1", "http://127.0.0.1", "ws://", "ws://[::1"):
        with pytest.raises(UsageError):
            async with websocket_link(url, token="secret"):
                pass

    assert started.thread.cwd == str(workspace)


async def test_the_client_of_the_guide_runs(home: Path, workspace: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    async with (
        scripted.serve([say("Hello.")]) as model,
        listening(home, base_url=model.base_url) as at,
        at.client() as client,
    ):
        started = await ask(client, "thread/start", {"cwd": str(workspace)})
        asked = {
            "threadId": started["thread"]["id"],
            "input": [{"type": "text", "text": "Say hello."}],
        }
        await client.send(json.dumps({"id": 7, "method": "turn/start", "params": asked}))
        await until(client, "turn/completed")
        done = await anyio.run_process(
            [sys.executable, "-c", code.replace("ws://127.0.0.1:4500", at.url)],
            env={**os.environ, "OCTAVO_HOME": str(home)},
        )

    assert done.stdout.decode() == f"{started['thread']['id']} Say hello.\n"


async def nobody(method: str, params: bytes) -> Any:
    raise AssertionError(method)


async def test_a_server_that_speaks_tls_may_stand_before_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    made = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=x"
    named = ["-addext", "subjectAltName=IP:127.0.0.1"]
    await anyio.run_process(["openssl", *made.split(), *named], cwd=tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with listening(home) as at:
        port = int(at.url.rpartition(":")[2])

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, forth = await asyncio.open_connection("127.0.0.1", port)

            async def copy(into: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
                with suppress(ConnectionError):
                    while data := await into.read(65536):
                        out.write(data)
                        await out.drain()
                out.close()

            await asyncio.gather(copy(reader, forth), copy(back, writer))

        proxy = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=context)
        url = f"wss://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        with pytest.raises(OctavoError, match="certificate"):
            async with websocket_link(url, token=at.token):
                pass
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        async with (
            websocket_link(url, token=at.token) as link,
            octavo_connect(link, name="tests", version="1", answer=nobody) as client,
        ):
            found = await client.call(THREAD_LIST, ThreadListParams())
        proxy.close()

    assert found.data == ()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--listen", "ws://0.0.0.0:0"], "not encrypted"),
        (["--listen", "ws://localhost:1"], "cannot be listened at"),
        (["--listen", "ws://127.0.0.1"], "cannot be listened at"),
        (["--listen", "ws://127.0.0.1:99999"], "cannot be listened at"),
        (["--ws-token-file", "x"], "go with --listen ws://"),
        (["--listen", "ws://127.0.0.1:0", "--ws-token-file", "open"], "no secret"),
        (["--listen", "ws://127.0.0.1:0", "--ws-token-file", "short"], "at least 16"),
        (["--listen", "ws://127.0.0.1:0", "--ws-token-file", "none"], "cannot be read"),
        (["--listen", "ws://127.0.0.1:0", "--ws-token-sha256", "12"], "no SHA-256"),
        (["--listen", "ws://127.0.0.1:0", "--ws-auth", "signed-bearer-token"], "secret-file"),
        (
            ["--listen", "ws://127.0.0.1:0", "--ws-token-file", "good", "--ws-issuer", "me"],
            "both given",
        ),
    ],
)
async def test_what_cannot_be_safe_is_refused_at_the_start(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text, mode in (("open", "x" * 40, 0o644), ("short", "x", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    async with program(home, *words) as server:
        code, said = await server.end()

    assert code == 2
    assert why in said


async def test_signed_tokens_and_digests_are_taken_as_codex_takes_them(
    home: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET + b"\n")
    secret.chmod(0o600)
    token = signed({"exp": int(time.time()) + 60, "iss": "me"})
    words = ("--ws-shared-secret-file", str(secret), "--ws-issuer", "me")
    async with listening(home, *words) as at:
        at.token = token
        async with at.client() as one:
            by_signature = await ask(one, "thread/list")
    async with listening(home, "--ws-token-sha256", sha256(b"token").hexdigest()) as at:
        at.token = "token"
        async with at.client() as one:
            by_digest = await ask(one, "thread/list")

    assert not (home / "app-server.token").exists()
    assert (by_signature["data"], by_digest["data"]) == ([], [])
