"""What comes out of a good answer, and when; what goes into a request."""

from __future__ import annotations

import itertools
import time
from contextlib import aclosing

import anyio
import msgspec
import pytest

from octavo import __version__
from octavo.model import (
    Call,
    Chunk,
    Completed,
    ItemDone,
    ItemStarted,
    Prompt,
    ReasoningDelta,
    TextDelta,
)
from octavo.model.providers.responses import Responses, body_of
from octavo.protocol.usage import Usage
from octavo.trial.scripted import answer, call, custom, say, search, serve, stall, think
from tests.model.asking import PROMPT, ask, provider_of

pytestmark = pytest.mark.anyio


def _dones(chunks: list[Chunk]) -> list[ItemDone]:
    return [chunk for chunk in chunks if isinstance(chunk, ItemDone)]


async def test_an_answer_is_read_item_by_item() -> None:
    parts = (think("Look."), say("On it.", deltas=3), call("exec_command", cmd="ls"))
    script = [answer(*parts, cached_tokens=80, reasoning_tokens=4)]

    async with serve(script) as server:
        chunks = await ask(server)

    thought, said, called = _dones(chunks)
    assert chunks == [
        ItemStarted("rs_1_0", "reasoning"),
        ReasoningDelta("rs_1_0", "Look."),
        thought,
        ItemStarted("msg_1_1", "message"),
        TextDelta("msg_1_1", "On"),
        TextDelta("msg_1_1", " i"),
        TextDelta("msg_1_1", "t."),
        said,
        ItemStarted("fc_1_2", "function_call"),
        called,
        Completed("resp_1", Usage(100, 80, 0, 10, 4, 110)),
    ]
    assert (thought.text, said.text) == ("Look.", "On it.")
    assert called.call == Call("call_1_2", "exec_command", '{"cmd":"ls"}')


async def test_an_item_is_kept_as_the_very_bytes_it_came_in() -> None:
    item = (
        '{"type":"message","x":  1e2,"content":[{"type":"output_text","text":"\\u00e9"}],"id":"m"}'
    )
    event = f'data: {{"type":"response.output_item.done","item":{item}}}\n\n'
    end = 'data: {"type":"response.completed","response":{}}\n\n'
    stream = answer(body=event + end, headers={"content-type": "text/event-stream"})

    async with serve([stream]) as server:
        [done] = _dones(await ask(server))

    assert (done.raw, done.text) == (item.encode(), "é")


async def test_freeform_calls_are_told_from_functions_and_hosted_ones_are_not_calls() -> None:
    async with serve([[custom("apply_patch", "*** Begin"), search("news")]]) as server:
        patch, found = _dones(await ask(server))

    assert patch.call == Call("call_1_0", "apply_patch", "*** Begin", freeform=True)
    assert (found.kind, found.call) == ("web_search_call", None)


async def test_raw_reasoning_is_marked_as_such() -> None:
    async with serve([think("", raw="Let me see.")]) as server:
        chunks = await ask(server)

    assert ReasoningDelta("rs_1_0", "Let me see.", raw=True) in chunks


@pytest.mark.parametrize("chunk_bytes", [1, 7, 64])
async def test_it_does_not_matter_how_the_bytes_are_split(chunk_bytes: int) -> None:
    parts = (say("Grüße, 世界 🎵!", deltas=4), call("exec_command", cmd="echo ü"))

    async with serve([answer(*parts), answer(*parts, chunk_bytes=chunk_bytes)]) as server:
        whole, split = await ask(server), await ask(server)

    def without_ids(chunks: list[Chunk]) -> str:
        return repr(chunks).replace("_2_", "_1_").replace("resp_2", "resp_1")

    assert without_ids(split) == without_ids(whole)


async def test_each_event_reaches_the_reader_before_the_next_is_sent() -> None:
    text = say("abc", deltas=3)

    async with serve([stall(text, after=4)]) as server:
        model = Responses(provider_of(server.base_url))
        async with aclosing(model.stream(PROMPT)) as chunks:
            with anyio.fail_after(10):
                assert await anext(chunks) == ItemStarted("msg_1_0", "message")
                received = await server.request(1)
                for letter in "abc":
                    received.let(1)
                    assert await anext(chunks) == TextDelta("msg_1_0", letter)
                received.let()
                rest = [chunk async for chunk in chunks]

    assert isinstance(rest[-1], Completed)


@pytest.mark.parametrize("after", [0, 5])
async def test_a_cancelled_request_closes_its_connection_within_100_ms(after: int) -> None:
    async with serve([stall(say("abcdef", deltas=6), after=after)]) as server:

        async def read() -> None:
            async with aclosing(Responses(provider_of(server.base_url)).stream(PROMPT)) as chunks:
                async for _ in chunks:
                    pass

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            received = await server.request(1)
            await server.until(lambda: received.events_sent == after)
            cancelled_at = time.monotonic()
            group.cancel_scope.cancel()
        await server.until(lambda: received.closed_at is not None)

    assert received.closed_at is not None
    assert received.closed_at - cancelled_at < 0.1


async def test_a_reader_that_leaves_closes_the_connection() -> None:
    async with serve([stall(say("ab", deltas=2), after=5)]) as server:
        model = Responses(provider_of(server.base_url))
        async with aclosing(model.stream(PROMPT)) as chunks:
            await anext(chunks)
        left_at = time.monotonic()
        received = await server.request(1)
        await server.until(lambda: received.closed_at is not None)

    assert received.closed_at is not None
    assert received.closed_at - left_at < 0.1


async def test_one_connection_serves_many_prompts() -> None:
    async with serve([answer(say("Hi."), times=3, end_delay_s=0.002)]) as server:
        model = Responses(provider_of(server.base_url))
        for _ in range(3):
            assert [chunk async for chunk in model.stream(PROMPT)]
        assert (len(server.requests), server.connections) == (3, 1)


# What goes out.


def test_a_request_says_what_the_api_asks_for_and_nothing_about_the_machine() -> None:
    tools = b'[{"type":"function","name":"f"}]'
    prompt = Prompt(
        model="m",
        input=(b'{"a":1}', b'{"b":2}'),
        tools=tools,
        cache_key="t1",
        effort="high",
        summary="auto",
        verbosity="low",
        output_schema=b'{"type":"object"}',
        parallel_calls=False,
    )

    assert msgspec.json.decode(body_of(prompt, prompt.input)) == {
        "model": "m",
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "t1",
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "octavo_output_schema",
                "strict": True,
                "schema": {"type": "object"},
            },
        },
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "tools": [{"type": "function", "name": "f"}],
        "input": [{"a": 1}, {"b": 2}],
    }


def test_what_is_not_set_is_not_sent() -> None:
    assert list(msgspec.json.decode(body_of(PROMPT, PROMPT.input))) == [
        "model",
        "stream",
        "store",
        "include",
        "prompt_cache_key",
        "input",
    ]


def test_each_request_extends_the_bytes_of_the_one_before() -> None:
    items = [msgspec.json.encode({"n": n, "text": "é" * n}) for n in range(30)]
    tools = b'[{"type":"function","name":"f"}]'
    prompts = [
        Prompt(model="m", input=items[:count], tools=tools, cache_key="t", effort="low")
        for count in range(1, 30)
    ]

    bodies = [body_of(prompt, prompt.input) for prompt in prompts]

    for first, second in itertools.pairwise(bodies):
        assert first.endswith(b"]}")
        assert second.startswith(first[:-2] + b",")


async def test_the_key_and_the_headers_of_the_provider_are_sent() -> None:
    async with serve([say("Hi.")]) as server:
        await ask(
            server,
            api_key="k-1",
            http_headers={"X-Team": "blue"},
            query_params={"api-version": "2026-01 b"},
        )
        [received] = server.requests

    assert received.path == "/v1/responses?api-version=2026-01+b"
    headers = received.headers
    assert (headers["authorization"], headers["x-team"]) == ("Bearer k-1", "blue")
    assert headers["user-agent"] == f"octavo/{__version__}"
    assert set(headers) == {
        "accept", "authorization", "content-length", "content-type", "host", "user-agent", "x-team",
    }  # fmt: skip
