"""A provider that attacks: what it sends may end the answer, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import anyio.abc
import msgspec
import pytest

from octavo.model.providers.responses import Responses
from octavo.protocol.errors import ModelError, StreamCut
from octavo.trial.scripted import fail, garble, refuse, serve
from tests.model.asking import PROMPT, provider_of

pytestmark = pytest.mark.anyio

KEY = "opaque-key-0123456789"
OTHER = "another-opaque-key-98765"


async def _error_of(base_url: str, **settings: int) -> ModelError:
    provider = msgspec.structs.replace(
        provider_of(base_url), api_key=KEY, http_headers={"x-api-key": OTHER}
    )
    with pytest.raises(ModelError) as raised:
        async for _ in Responses(provider, **settings).stream(PROMPT):
            pass
    return raised.value


@pytest.mark.parametrize("key", [KEY, OTHER])
async def test_a_key_that_a_provider_quotes_is_not_shown(key: str) -> None:
    for step in (refuse(401, f"Incorrect key {key}."), refuse(503, f"{'x' * 280}{key}"),
                 fail("server_error", f"Not with {key}.")):  # fmt: skip
        async with serve([step]) as server:
            error = await _error_of(server.base_url)

        assert key[:12] not in f"{error} {error.hint}"


@pytest.mark.parametrize("field", ["zz", "content", "arguments", "summary"])
async def test_an_item_nested_without_end_is_a_broken_answer(field: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    item = f'{{"type":"message","{field}":{deep}}}'
    raw = f'{{"type":"response.output_item.done","item":{item}}}'
    async with serve([garble(raw)]) as server:
        assert isinstance(await _error_of(server.base_url), StreamCut)


@contextlib.asynccontextmanager
async def _server(send: Callable[[anyio.abc.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    """Answer every request with what `send` sends."""

    async def serve_one(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                await stream.receive()
                await send(stream)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve_one)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        yield f"http://127.0.0.1:{port}/v1"
        group.cancel_scope.cancel()


async def test_a_stream_that_never_ends_is_ended() -> None:
    sent = 0

    async def send(stream: anyio.abc.SocketStream) -> None:
        nonlocal sent
        await stream.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        event = b"event: response.unknown\ndata: " + b"x" * (1 << 20) + b"\n\n"
        while True:
            await stream.send(event)
            sent += len(event)

    async with _server(send) as base_url:
        with anyio.fail_after(60):
            error = await _error_of(base_url, max_answer_bytes=8 << 20)

    assert isinstance(error, StreamCut)
    assert sent < 64 << 20
