"""Chat Completions: what comes out of an answer, and what goes into a request.

The shapes are those of https://platform.openai.com/docs/api-reference/chat, with what
https://api-docs.deepseek.com, https://docs.vllm.ai and https://docs.mistral.ai add to them.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import msgspec
import pytest

from octavo.model import Call, Chunk, Completed, ItemDone, ItemStarted, ReasoningDelta, TextDelta
from octavo.model.providers.marks import Mark
from octavo.protocol.errors import ModelError, StreamCut
from octavo.protocol.usage import Usage
from octavo.trial.scripted import answer, call, custom, say, serve, stall, think
from tests.model.asking import PROMPT, ask, dones, model_at

pytestmark = pytest.mark.anyio

Event = dict[str, Any]
STREAM = {"content-type": "text/event-stream"}


def delta(reason: str | None = None, **fields: Any) -> Event:
    """One chunk of an answer."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": reason}]}


async def read(*events: Event, end: bool = True, **prompt: Any) -> list[Chunk]:
    """Return the chunks of an answer that comes as `events`, and `[DONE]` if `end`."""
    lines = [f"data: {msgspec.json.encode(event).decode()}\n\n" for event in events]
    body = "".join([*lines, "data: [DONE]\n\n" if end else ""])
    asked = msgspec.structs.replace(PROMPT, **prompt)
    async with serve([answer(body=body, headers=STREAM)]) as server:
        return await ask(server, asked, wire_api="chat")


def calls(chunks: list[Chunk]) -> list[tuple[str, str]]:
    """Return the names and arguments of the calls."""
    return [(done.call.name, done.call.arguments) for done in dones(chunks) if done.call]


async def test_an_answer_is_read_item_by_item() -> None:
    parts = (think("", raw="Look."), say("On it.", deltas=3), call("exec_command", cmd="ls"))
    script = [answer(*parts, cached_tokens=80, reasoning_tokens=4)]

    async with serve(script) as server:
        chunks = await ask(server, wire_api="chat")

    thought, said, called = dones(chunks)
    r, m, c = (done.item_id for done in (thought, said, called))
    assert chunks == [
        ItemStarted(r, "reasoning"),
        ReasoningDelta(r, "Look.", raw=True),
        thought,
        ItemStarted(m, "message"),
        TextDelta(m, "On"),
        TextDelta(m, " i"),
        TextDelta(m, "t."),
        ItemStarted(c, "function_call"),
        said,
        called,
        Completed("chatcmpl-1", Usage(100, 80, 0, 10, 4, 110)),
    ]
    assert called.call == Call("call_1_2", "exec_command", '{"cmd":"ls"}')
    assert msgspec.json.decode(said.raw) == {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "On it."}],
    }
    assert msgspec.json.decode(thought.raw) == {
        "type": "reasoning",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Look."}],
        "octavo": {"provider": "trial", "field": "reasoning_content"},
    }


async def test_parallel_calls_that_come_interleaved_are_told_apart() -> None:
    parts = [
        msgspec.structs.replace(call("exec_command", cmd=cmd), deltas=7)
        for cmd in ("ls -l", "cat a b c", "pwd")
    ]

    async with serve([parts]) as server:
        chunks = await ask(server, wire_api="chat")

    assert [arguments for _name, arguments in calls(chunks)] == [
        '{"cmd":"ls -l"}',
        '{"cmd":"cat a b c"}',
        '{"cmd":"pwd"}',
    ]


async def test_each_piece_reaches_the_reader_before_the_next_is_sent() -> None:
    async with serve([stall(say("abc", deltas=3), after=1)]) as server:
        model = model_at(server.base_url, wire_api="chat")
        async with aclosing(model.stream(PROMPT)) as chunks:
            with anyio.fail_after(10):
                pending = anyio.Event()

                async def let() -> None:
                    received = await server.request(1)
                    for count in (1, 2, 3):
                        received.let(1)
                        await server.until(lambda count=count: received.events_sent == 1 + count)
                        await pending.wait()
                    received.let()

                async with anyio.create_task_group() as group:
                    group.start_soon(let)
                    assert isinstance(await anext(chunks), ItemStarted)
                    for letter in "abc":
                        piece = await anext(chunks)
                        assert isinstance(piece, TextDelta)
                        assert piece.text == letter
                        pending.set()
                    rest = [chunk async for chunk in chunks]
    assert isinstance(rest[-1], Completed)


async def test_reasoning_may_be_called_otherwise_and_goes_back_as_it_was_called() -> None:
    [thought, _said] = dones(
        await read(delta(reasoning="Hm"), delta(reasoning="m."), delta("stop", content="Hi."))
    )

    item = msgspec.json.decode(thought.raw)
    assert item["content"] == [{"type": "reasoning_text", "text": "Hmm."}]
    assert msgspec.convert(item["octavo"], Mark) == Mark(provider="trial", field="reasoning")


async def test_reasoning_within_the_content_is_told_from_it() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Hi."},
    ]

    thought, said = dones(await read(delta("stop", content=parts)))

    assert (thought.kind, said.text) == ("reasoning", "Hi.")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 5}},
        {"prompt_cache_hit_tokens": 5, "prompt_cache_miss_tokens": 4},
        {"cached_tokens": 5},
    ],
)
async def test_what_was_cached_is_known_however_it_is_said(usage: Event) -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 2, **usage}

    chunks = await read(delta("stop", content="Hi."), {"choices": [], "usage": counts})

    assert chunks[-1] == Completed("", Usage(9, 5, 0, 2, 0, 11))


async def test_the_cost_may_come_with_the_last_piece() -> None:
    last = {**delta("stop"), "usage": {"prompt_tokens": 1, "completion_tokens": 2}}

    assert (await read(delta(content="Hi."), last))[-1] == Completed("", Usage(1, 0, 0, 2, 0, 3))


@pytest.mark.parametrize("choices", [[], None])
async def test_an_answer_without_done_is_complete_once_the_server_says_why_it_stopped(
    choices: list[Event] | None,
) -> None:
    cost = {"choices": choices, "usage": {"prompt_tokens": 1}}

    assert isinstance((await read(delta("stop", content="A"), end=False))[-1], Completed)
    assert isinstance((await read(delta("stop", content="A"), cost, end=False))[-1], Completed)
    with pytest.raises(StreamCut, match="closed before"):
        await read(delta(content="A"), end=False)


async def test_an_answer_is_whole_although_the_server_falls_silent_after_it() -> None:
    async with serve([stall(say("Hi."), after=3)]) as server:
        with anyio.fail_after(5):
            chunks = await ask(server, wire_api="chat", stream_idle_timeout_ms=100)

    assert isinstance(chunks[-1], Completed)


async def test_the_cost_is_the_last_that_is_waited_for() -> None:
    async with serve([stall(say("Hi."), after=4)]) as server:
        with anyio.fail_after(3):
            chunks = await ask(server, wire_api="chat")

    assert chunks[-1] == Completed("chatcmpl-1", Usage(100, 0, 0, 10, 0, 110))


async def test_an_empty_answer_that_is_only_done_is_asked_again() -> None:
    with pytest.raises(StreamCut, match="before it said anything"):
        await read()


@pytest.mark.parametrize(
    ("reason", "says"),
    [("length", "limit of output tokens"), ("content_filter", "content filter")],
)
async def test_an_answer_cut_short_is_no_answer_and_its_calls_do_not_run(
    reason: str, says: str
) -> None:
    called = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a'}}

    with pytest.raises(ModelError, match=says):
        await read(delta(tool_calls=[called]), delta(reason))


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", "end_turn", "STOP"])
async def test_calls_run_whatever_the_end_is_called(reason: str) -> None:
    called = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}

    assert calls(await read(delta(tool_calls=[called]), delta(reason))) == [("f", "{}")]


async def test_a_server_that_stops_after_each_call_is_heard_to_the_end() -> None:
    one = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    two = {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}

    chunks = await read(delta("tool_calls", tool_calls=[one]), delta("stop", tool_calls=[two]))

    assert calls(chunks) == [("f", "{}"), ("g", "{}")]


@pytest.mark.parametrize(
    ("event", "kind", "info"),
    [
        ({"error": {"message": "Busy", "code": 503}}, StreamCut, "serverOverloaded"),
        ({"error": {"message": "Slow", "code": 429}}, StreamCut, "rateLimitExceeded"),
        ({"error": {"message": "Oh", "type": "server_error"}}, StreamCut, "internalServerError"),
        ({"error": "Oh no"}, ModelError, "other"),
        (
            {"object": "error", "message": "maximum context length is 9", "code": 400},
            ModelError,
            "contextWindowExceeded",
        ),
    ],
)
async def test_an_error_in_the_stream_is_told_as_what_it_is(
    event: Event, kind: type[ModelError], info: str
) -> None:
    with pytest.raises(ModelError) as caught:
        await read(delta(content="A"), event)

    assert (type(caught.value), caught.value.info) == (kind, info)


async def test_an_answer_that_is_no_stream_is_read() -> None:
    message = {
        "role": "assistant",
        "content": "Hi.",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
    }
    whole = {"id": "x", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    body = msgspec.json.encode(whole).decode()

    async with serve([answer(body=body)]) as server:
        chunks = await ask(server, wire_api="chat")

    assert [done.kind for done in dones(chunks)] == ["message", "function_call"]
    assert chunks[-1] == Completed("x", None)


async def test_what_a_provider_wants_back_with_a_call_is_kept() -> None:
    called = {
        "id": "c",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "sig"}},
    }
    chunks = await read(delta("stop", tool_calls=[called]))
    [done] = [chunk for chunk in chunks if isinstance(chunk, ItemDone)]
    output = b'{"type":"function_call_output","call_id":"c","output":"ok"}'

    async with serve([answer(say("Hi."), times=2)]) as server:
        prompt = msgspec.structs.replace(PROMPT, input=(*PROMPT.input, done.raw, output))
        await ask(server, prompt, wire_api="chat")
        await ask(server, prompt, wire_api="chat", id="other")
        here, there = (r.json()["messages"][1]["tool_calls"][0] for r in server.requests)

    assert here["extra_content"] == {"google": {"thought_signature": "sig"}}
    assert "extra_content" not in there


async def test_a_freeform_tool_is_a_function_of_one_string_and_its_call_is_freeform() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: PATCH"}
    tool = {"type": "custom", "name": "apply_patch", "description": "Patch.", "format": grammar}
    search = {"type": "web_search"}
    prompt = msgspec.structs.replace(PROMPT, tools=msgspec.json.encode([tool, search]))

    async with serve([custom("apply_patch", "*** Begin")]) as server:
        [done] = dones(await ask(server, prompt, wire_api="chat"))
        [declared] = server.requests[0].json()["tools"]

    assert done.call == Call("call_1_0", "apply_patch", "*** Begin", freeform=True)
    assert msgspec.json.decode(done.raw)["input"] == "*** Begin"
    assert declared["function"]["name"] == "apply_patch"
    assert "start: PATCH" in declared["function"]["description"]
    assert list(declared["function"]["parameters"]["properties"]) == ["input"]


# What goes out.


async def _sent(**prompt: Any) -> Event:
    async with serve([say("Hi.")]) as server:
        await ask(server, msgspec.structs.replace(PROMPT, **prompt), wire_api="chat")
        sent: Event = server.requests[0].json()
    return sent


async def test_a_request_says_what_every_server_understands() -> None:
    tools = b'[{"type":"function","name":"f","description":"F.","parameters":{"type":"object"}}]'

    sent = await _sent(tools=tools, effort="high", verbosity="low", output_schema=b'{"a":1}')

    assert sent == {
        "model": "scripted",
        "stream": True,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "high",
        "parallel_tool_calls": True,
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "description": "F.", "parameters": {"type": "object"}},
            }
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "octavo_output_schema", "strict": True, "schema": {"a": 1}},
        },
        "messages": [{"role": "user", "content": "Hi."}],
    }


async def test_openais_own_models_are_told_more() -> None:
    items = (b'{"role":"developer","content":"Be."}', b'{"role":"user","content":"Hi."}')

    sent = await _sent(model="gpt-5.5", verbosity="low", input=items)

    assert (sent["prompt_cache_key"], sent["verbosity"]) == ("t1", "low")
    assert sent["messages"][0] == {"role": "developer", "content": "Be."}


async def test_an_answer_has_no_more_tokens_than_are_paid_for() -> None:
    assert (await _sent(model="qwen3", max_output_tokens=5_000))["max_tokens"] == 5_000
    sent = await _sent(model="gpt-5.5", max_output_tokens=5_000)
    assert sent["max_completion_tokens"] == 5_000
    assert "max_tokens" not in sent


async def test_a_model_is_asked_for_an_effort_it_knows() -> None:
    assert (await _sent(model="deepseek-v4-pro", effort="medium"))["reasoning_effort"] == "low"
    assert (await _sent(model="deepseek-v4-pro", effort="xhigh"))["reasoning_effort"] == "high"
    assert "reasoning_effort" not in await _sent(model="qwen3-coder:30b", effort="high")


async def test_a_model_without_schemas_is_told_the_schema_in_words() -> None:
    sent = await _sent(model="deepseek-v4-pro", output_schema=b'{"type":"object"}')

    assert sent["response_format"] == {"type": "json_object"}
    assert '{"type":"object"}' in sent["messages"][-1]["content"]
