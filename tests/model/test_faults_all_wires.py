"""What can go wrong on the way goes wrong alike on every wire, over real HTTP."""

from __future__ import annotations

import socket
from contextlib import aclosing
from typing import Any, get_args

import anyio
import msgspec
import pytest

from octavo.model import Chunk, Completed, ItemDone, WireApi
from octavo.protocol.errors import ModelBusy, ModelError, StreamCut
from octavo.trial.scripted import (
    Step,
    answer,
    call,
    cut,
    garble,
    hang_up,
    refuse,
    say,
    serve,
    stall,
    think,
)
from tests.model.asking import PROMPT, ask, dones, model_at

WIRES = [wire for wire in get_args(WireApi) if wire != "auto"]
PARTS = (think("Hm."), say("Hello.", deltas=2), call("exec_command", cmd="ls"))

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("wire", WIRES)]


async def _fault_of(step: Step, wire: str, **settings: Any) -> tuple[list[Chunk], ModelError]:
    """Return the chunks that came before the error, and the error."""
    async with serve([step]) as server:
        model = model_at(server.base_url, wire_api=wire, **settings)
        chunks: list[Chunk] = []
        try:
            with anyio.fail_after(20):
                async for chunk in model.stream(PROMPT):
                    chunks.append(chunk)
        except ModelError as error:
            return chunks, error
    pytest.fail("the answer was complete")


@pytest.mark.parametrize(
    ("step", "info", "wait_s"),
    [
        (refuse(429, headers={"Retry-After": "7"}), "rateLimitExceeded", 7),
        (refuse(500), "internalServerError", None),
        (refuse(503), "serverOverloaded", None),
        (refuse(529), "serverOverloaded", None),
        (hang_up(), "responseStreamConnectionFailed", None),
    ],
)
async def test_a_busy_provider_may_be_asked_again(
    wire: str, step: Step, info: str, wait_s: float | None
) -> None:
    chunks, error = await _fault_of(step, wire)

    assert (chunks, type(error), error.info) == ([], ModelBusy, info)
    assert isinstance(error, ModelBusy)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize("how", ["abrupt", "clean", "inside"])
@pytest.mark.parametrize("after", [1, 4, 6])
async def test_a_stream_that_is_cut_is_cut(wire: str, how: Any, after: int) -> None:
    chunks, error = await _fault_of(cut(*PARTS, after=after, how=how), wire)

    assert isinstance(error, StreamCut)
    assert not any(isinstance(chunk, Completed) for chunk in chunks)


@pytest.mark.parametrize(
    "garbage",
    [
        "data: {\n\n",
        "data: [1]\n\n",
        'data: {"choices":7,"type":"response.completed","delta":[]}\n\n',
        "\x00\xff",
    ],
)
async def test_garbage_is_a_cut(wire: str, garbage: str) -> None:
    _, error = await _fault_of(garble(garbage, say("Hello.")), wire)

    assert isinstance(error, StreamCut)


async def test_silence_is_a_cut(wire: str) -> None:
    _, error = await _fault_of(stall(*PARTS, after=3), wire, stream_idle_timeout_ms=150)

    assert isinstance(error, StreamCut)
    assert "Nothing came for 0.15 s" in str(error)


async def test_no_server_is_said_to_be_none(wire: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = model_at(f"http://127.0.0.1:{port}/v1", wire_api=wire)

    with pytest.raises(ModelBusy, match="cannot be reached"):
        async for _ in model.stream(PROMPT):
            pass


async def test_an_answer_without_end_is_broken_off(wire: str) -> None:
    from octavo.model.providers.chat import Chat
    from octavo.model.providers.messages import Messages
    from octavo.model.providers.responses import Responses
    from tests.model.asking import provider_of

    kinds = {"responses": Responses, "chat": Chat, "anthropic": Messages}
    async with serve([say("x" * 40_000, deltas=400)]) as server:
        provider = provider_of(server.base_url, wire_api=wire)
        model = kinds[wire](provider, max_answer_bytes=10_000)
        with pytest.raises(StreamCut, match="larger than 10000 bytes"):
            async for _ in model.stream(PROMPT):
                pass


@pytest.mark.parametrize(
    "step",
    [
        refuse(400, "Too long.", code="context_length_exceeded"),
        refuse(400, "This model's maximum context length is 8192 tokens."),
        refuse(400, "prompt is too long: 9 tokens > 8 maximum", kind="invalid_request_error"),
        refuse(
            400, "the request exceeds the available context size", kind="exceed_context_size_error"
        ),
        refuse(413, "Too large."),
    ],
)
async def test_a_thread_that_is_too_long_is_known_as_such(wire: str, step: Step) -> None:
    _, error = await _fault_of(step, wire)

    assert (type(error), error.info) == (ModelError, "contextWindowExceeded")


@pytest.mark.parametrize(
    ("words", "quoted"), [("no", "no. "), ("No!", "No! "), ("", "(HTTP 401). ")]
)
async def test_what_a_provider_says_ends_as_a_sentence(wire: str, words: str, quoted: str) -> None:
    _, error = await _fault_of(refuse(401, words), wire, api_key="k")

    assert f"{quoted}Store a valid one" in str(error)


async def test_the_key_is_never_quoted(wire: str) -> None:
    _, error = await _fault_of(
        refuse(401, "Bad key sk-very-secret-1."), wire, api_key="sk-very-secret-1"
    )

    assert "sk-very-secret-1" not in str(error)
    assert error.info == "unauthorized"


async def test_an_address_that_is_none_is_named_with_its_api(wire: str) -> None:
    _, error = await _fault_of(refuse(404, "page not found"), wire)

    assert (error.info, error.status) == ("badRequest", 404)
    assert "/v1/" in str(error)
    assert error.hint is not None
    assert "wire_api" in error.hint


async def test_a_web_page_is_no_answer(wire: str) -> None:
    page = answer(body="<html>", headers={"content-type": "text/html"})

    _, error = await _fault_of(page, wire)

    assert "web page" in str(error)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 64])
async def test_it_does_not_matter_how_the_bytes_are_split(wire: str, chunk_bytes: int) -> None:
    parts = (
        think("Überlegt."),
        say("Grüße, 世界 🎵!", deltas=4),
        call("exec_command", cmd="echo ü"),
    )

    async with serve([answer(*parts), answer(*parts, chunk_bytes=chunk_bytes)]) as server:
        whole = await ask(server, wire_api=wire)
        split = await ask(server, wire_api=wire)

    assert [_bare(chunk) for chunk in split] == [_bare(chunk) for chunk in whole]
    assert len(dones(whole)) == 3


def _bare(chunk: Chunk) -> tuple[Any, ...]:
    """Return a chunk without its ids, which are new in each answer."""
    text = getattr(chunk, "text", None)
    raw = None
    if isinstance(chunk, ItemDone):
        raw = msgspec.json.decode(chunk.raw)
        for name in ("id", "call_id"):
            raw.pop(name, None)
    return type(chunk), text, getattr(chunk, "kind", None), raw, getattr(chunk, "usage", None)


async def test_a_slow_answer_is_waited_for(wire: str) -> None:
    async with serve([answer(*PARTS, gap_s=0.01, delay_s=0.05)]) as server:
        chunks = await ask(server, wire_api=wire, stream_idle_timeout_ms=2000)

    assert [done.kind for done in dones(chunks)] == ["reasoning", "message", "function_call"]


async def test_a_reader_that_leaves_closes_the_connection(wire: str) -> None:
    async with serve([stall(say("ab", deltas=2), after=5)]) as server:
        model = model_at(server.base_url, wire_api=wire)
        async with aclosing(model.stream(PROMPT)) as chunks:
            await anext(chunks)
        received = await server.request(1)
        await server.until(lambda: received.closed_at is not None)
