"""Whatever a client sends, it gets a JSON-RPC answer, and the server goes on.

Frames are bytes of any kind, over lines and websockets; calls are every method of the protocol,
with parameters that are made from their types and then spoilt here and there. A seed that fails
fails again. `make prove ARGS=tests/server/test_fuzz.py` tries a hundred thousand of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.rpc import (
    BAD_PARAMS,
    INVALID_REQUEST,
    NO_METHOD,
    OVERLOADED,
    PARSE,
    Link,
    LinkClosed,
    RpcError,
)
from octavo.rpc.memory import memory_pair
from octavo.rpc.peer import Peer
from octavo.rpc.stream import LineDecoder
from octavo.rpc.websocket import WebsocketLink
from octavo.server.server import Launch, serving
from tests.sampling import sample
from tests.server import fuzzing
from tests.server.programs import HELLO

ORDERLY = {PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMS, OVERLOADED}
SERVERS = sample(50, 1)
CALLS_EACH = sample(2_000, 600)
FRAMES_EACH = sample(10_000, 300)
AT_ONCE = 40
"""Calls under way at a time."""
COSTLY = (
    *("octavo/index/rebuild", "command/exec", "octavo/skills/add", "thread/start"),
    *("octavo/skills/accept", "thread/fork", "thread/resume"),
)
"""They start processes or threads, or read all there is: one call in twenty is of these."""


@given(st.lists(st.binary(max_size=50), max_size=20), st.lists(st.integers(1, 9), max_size=99))
@settings(max_examples=sample(20_000, 100))
def test_any_bytes_are_cut_into_lines_and_lose_none(lines: list[bytes], cuts: list[int]) -> None:
    lines = [line.replace(b"\n", b" ") for line in lines]
    decoder = LineDecoder()
    data, found = b"\n".join(lines), []
    for size in cuts:
        found += decoder.feed(data[:size])
        data = data[size:]
    found += decoder.feed(data) + decoder.end()
    assert found == [line.strip() for line in lines if line.strip()]


@pytest.mark.parametrize("seed", range(sample(10, 1)))
@pytest.mark.anyio
async def test_any_frame_is_answered_or_needs_no_answer(seed: int) -> None:
    chance = Random(seed)
    ours, theirs = memory_pair()
    taken = 0

    async def on_request(method: str, params: bytes) -> Any:
        raise RpcError(NO_METHOD, method)

    async def on_notification(method: str, params: bytes) -> None:
        nonlocal taken
        taken += 1

    peer = Peer(theirs, on_request, on_notification)
    codes = set()
    async with anyio.create_task_group() as group:
        group.start_soon(peer.run)
        for number in range(FRAMES_EACH):
            decoder = LineDecoder()
            lines = decoder.feed(fuzzing.frame(chance).replace(b"\n", b"")) + decoder.end()
            await ours.send_all([line for line in lines if line is not None])
            await ours.send(b'{"id":"last %d","method":"last"}' % number)
            while True:
                with anyio.fail_after(20):
                    said = await ours.receive()
                answer = msgspec.json.decode(said.decode(), type=Refusal)
                codes.add(answer.error.code)
                if bytes(answer.id) == b'"last %d"' % number:
                    break
        ours.close()

    assert codes == {PARSE, INVALID_REQUEST, NO_METHOD}
    assert taken


class Refused(msgspec.Struct):
    code: int
    message: str


class Refusal(msgspec.Struct):
    """An answer; its id is whatever the frame had for one, numbers without end included."""

    id: msgspec.Raw
    error: Refused


class Bytes:
    """A pipe in which everything is already there."""

    moved_at = 0.0

    def __init__(self, data: bytes, cuts: int) -> None:
        self._data = data
        self._cuts = cuts
        self.sent = b""

    async def read(self) -> bytes:
        part, self._data = self._data[: self._cuts], self._data[self._cuts :]
        return part

    async def write(self, data: bytes) -> None:
        self.sent += data

    def write_now(self, data: bytes) -> int:
        return 0

    def shut(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(sample(10, 1)))
@pytest.mark.anyio
async def test_any_bytes_at_a_websocket_are_messages_or_its_end(seed: int) -> None:
    from websockets.protocol import OPEN
    from websockets.server import ServerProtocol

    chance = Random(seed)
    messages, ends = 0, set()
    for _ in range(FRAMES_EACH):
        data = fuzzing.websocket_frames(chance)
        pipe = Bytes(data, chance.choice((1 if len(data) < 400 else 999, 99, 1 << 16)))
        link = WebsocketLink(ServerProtocol(state=OPEN, max_size=4096), pipe)
        with anyio.fail_after(20):
            try:
                while True:
                    assert len(await link.receive()) <= 4096
                    messages += 1
            except LinkClosed:
                await link.end(1000)
        if (at := pipe.sent.rfind(b"\x88")) >= 0:
            ends.add(int.from_bytes(pipe.sent[at + 2 : at + 4]))

    assert messages
    assert {1002, 1003, 1009} <= ends


@pytest.mark.parametrize("seed", range(SERVERS))
@pytest.mark.timeout(sample(1200, 120))
@pytest.mark.anyio
async def test_every_call_is_answered_and_never_by_accident(
    seed: int, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    chance = Random(seed)
    cheap = sorted(fuzzing.TYPES.keys() - set(COSTLY))
    asked = 0
    async with client_of_a_server(workspace) as client:
        while asked < CALLS_EACH:
            calls = []
            for _ in range(AT_ONCE):
                name = chance.choice(COSTLY if chance.randrange(20) == 0 else cheap)
                calls.append((name, fuzzing.call(chance, name)))
            answers = await client.ask(calls)
            for (method, params), answer in zip(calls, answers, strict=True):
                error = answer.get("error")
                assert error is None or error["code"] in ORDERLY, (seed, method, params, error)
                assert error is None or error["message"]
            asked += AT_ONCE


class FuzzClient:
    """Asks much at once, and waits for every answer."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._asked = 0
        self.thread_id = ""

    async def ask(self, calls: list[tuple[str, Any]]) -> list[dict[str, Any]]:
        first = self._asked
        self._asked += len(calls)
        for number, (method, params) in enumerate(calls, first):
            filled = msgspec.json.encode(params).replace(
                fuzzing.THREAD.encode(), self.thread_id.encode()
            )
            request = {"id": number, "method": method, "params": msgspec.Raw(filled)}
            await self._link.send(msgspec.json.encode(request))
        answers: dict[Any, Any] = {}
        with anyio.fail_after(90):
            while len(answers) < len(calls):
                try:
                    message = msgspec.json.decode(await self._link.receive())
                except LinkClosed:
                    raise AssertionError("the server hung up") from None
                if "method" not in message:
                    assert message["id"] not in answers
                    answers[message["id"]] = message
        return [answers[number] for number in range(first, self._asked)]


@asynccontextmanager
async def client_of_a_server(workspace: Path) -> AsyncIterator[FuzzClient]:
    """A client of a server with a thread, whose model nobody answers for."""
    home = workspace.parent
    launch = Launch(
        env={"HOME": str(home), "OCTAVO_HOME": str(home / "octavo-home")},
        overrides=(
            'model_providers.trial={name="trial",base_url="http://127.0.0.1:9/v1"}',
            'model_provider="trial"',
            'model="scripted"',
            'cli_auth_credentials_store="file"',
        ),
    )
    async with serving(launch) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        client = FuzzClient(ours)
        start = {"cwd": str(workspace), "ephemeral": True}
        [_] = await client.ask([("initialize", HELLO)])
        [begun] = await client.ask([("thread/start", start)])
        client.thread_id = begun["result"]["thread"]["id"]
        yield client
        ours.close()
        group.cancel_scope.cancel()
