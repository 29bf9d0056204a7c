"""The Messages API: what comes out of an answer, and what goes into a request.

The shapes are those of https://platform.claude.com/docs/en/build-with-claude/streaming,
…/extended-thinking, …/handling-stop-reasons and https://platform.claude.com/docs/en/api/errors.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import anyio
import msgspec
import pytest

from octavo.model import Call, Chunk, Completed, ItemStarted, Prompt, ReasoningDelta, TextDelta
from octavo.protocol.errors import ModelBusy, ModelError, StreamCut
from octavo.protocol.usage import Usage
from octavo.trial.scripted import answer, call, custom, refuse, say, serve, stall, think
from tests.model.asking import PROMPT, ask, dones, model_at

pytestmark = pytest.mark.anyio

Event = dict[str, Any]
HEAD = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3}}}
CLAUDE = msgspec.structs.replace(PROMPT, model="claude-opus-5-5")


def block(index: int, start: Event, *deltas: Event) -> list[Event]:
    """The events of one content block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def end(reason: str, **usage: int) -> list[Event]:
    """The last events of an answer."""
    counts = {"output_tokens": 5, **usage}
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": counts}, {"type": "message_stop"}]


async def read(*events: Event, prompt: Prompt = PROMPT) -> list[Chunk]:
    """Return the chunks of an answer that comes as `events`."""
    async with serve([answer(events=events)]) as server:
        return await ask(server, prompt, wire_api="anthropic")


async def test_an_answer_is_read_item_by_item() -> None:
    parts = (think("Look."), say("On it.", deltas=3), call("exec_command", cmd="ls"))
    script = [answer(*parts, cached_tokens=80, reasoning_tokens=4)]

    async with serve(script) as server:
        chunks = await ask(server, wire_api="anthropic")

    thought, said, called = dones(chunks)
    r, m, c = (done.item_id for done in (thought, said, called))
    assert chunks == [
        ItemStarted(r, "reasoning"),
        ReasoningDelta(r, "Look."),
        thought,
        ItemStarted(m, "message"),
        TextDelta(m, "On"),
        TextDelta(m, " i"),
        TextDelta(m, "t."),
        said,
        ItemStarted(c, "function_call"),
        called,
        Completed("msg_1", Usage(100, 80, 0, 10, 4, 110)),
    ]
    assert (thought.text, said.text) == ("Look.", "On it.")
    assert called.call == Call("toolu_1_2", "exec_command", '{"cmd":"ls"}')
    assert msgspec.json.decode(thought.raw) == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "Look."}],
        "octavo": {"provider": "trial", "signature": "gAAAA-scripted"},
    }


async def test_a_call_starts_as_soon_as_its_block_is_written() -> None:
    async with serve([stall(call("f", a=1), say("…"), after=5)]) as server:
        model = model_at(server.base_url, wire_api="anthropic")
        async with aclosing(model.stream(PROMPT)) as chunks:
            with anyio.fail_after(10):
                assert isinstance(await anext(chunks), ItemStarted)
                [done] = dones([await anext(chunks)])

    assert done.call == Call("toolu_1_0", "f", '{"a":1}')


async def test_thinking_goes_back_as_it_came_and_only_to_who_signed_it() -> None:
    answers = await read(
        HEAD,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me\n\n"},
            {"type": "thinking_delta", "thinking": " see."},
            {"type": "signature_delta", "signature": "EqQB/+=="},
        ),
        *block(1, {"type": "redacted_thinking", "data": "EmwK"}),
        *block(
            2,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "signature_delta", "signature": "not shown"},
        ),
        *block(3, {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}),
        *end("tool_use"),
    )
    output = b'{"type":"function_call_output","call_id":"toolu_1","output":"ok"}'
    items = (*PROMPT.input, *(done.raw for done in dones(answers)), output)
    prompt = msgspec.structs.replace(PROMPT, input=items)

    async with serve([answer(say("A"), times=2)]) as server:
        await ask(server, prompt, wire_api="anthropic")
        await ask(server, prompt, wire_api="anthropic", id="other")
        here, there = (received.json()["messages"][1]["content"] for received in server.requests)

    called = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    assert here == [
        {"type": "thinking", "thinking": "Let me\n\n see.", "signature": "EqQB/+=="},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "thinking", "thinking": "", "signature": "not shown"},
        called,
    ]
    assert there == [called]


@pytest.mark.parametrize(
    ("reason", "info", "says"),
    [
        ("max_tokens", "other", "limit of output tokens"),
        ("refusal", "other", "declines"),
        ("model_context_window_exceeded", "contextWindowExceeded", "context window"),
    ],
)
async def test_an_answer_that_did_not_end_by_itself_is_no_answer(
    reason: str, info: str, says: str
) -> None:
    text = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "A"})

    with pytest.raises(ModelError, match=says) as caught:
        await read(HEAD, *text, *end(reason))

    assert caught.value.info == info
    assert not isinstance(caught.value, ModelBusy)


async def test_a_pause_is_not_seen_but_for_its_cost() -> None:
    first = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "A"})
    script = [answer(events=[HEAD, *first, *end("pause_turn")]), say("B")]

    async with serve(script) as server:
        chunks = await ask(server, wire_api="anthropic")
        again = server.requests[1].json()["messages"]

    assert [done.text for done in dones(chunks)] == ["A", "B"]
    assert [chunk for chunk in chunks if isinstance(chunk, Completed)] == [
        Completed("msg_2", Usage(103, 0, 0, 15, 0, 118))
    ]
    assert again[-1] == {"role": "assistant", "content": [{"type": "text", "text": "A"}]}


async def test_what_is_not_known_is_passed_over() -> None:
    events = [
        HEAD,
        {"type": "ping"},
        {"type": "something_new", "index": 0},
        *block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}}),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "A"},
            {"type": "citations_delta", "citation": {}},
        ),
        *block(2, {"type": "text", "text": ""}),
        *end("end_turn"),
    ]

    assert [done.text for done in dones(await read(*events))] == ["A"]


async def test_a_sloppy_server_is_understood() -> None:
    """One that sends whole blocks, and neither their ends nor that of the message."""
    started = {"type": "content_block_start", "index": 0}
    whole = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    last = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}}

    chunks = await read(HEAD, {**started, "content_block": whole}, last)

    assert [done.call for done in dones(chunks)] == [Call("c", "f", '{"a":1}')]
    assert chunks[-1] == Completed("m", Usage(3, 0, 0, 0, 0, 3))


async def test_an_answer_that_is_no_stream_is_read() -> None:
    content = [{"type": "text", "text": "A"}]
    whole = {"id": "m", "type": "message", "content": content, "stop_reason": "end_turn"}

    async with serve([answer(body=msgspec.json.encode(whole).decode())]) as server:
        chunks = await ask(server, wire_api="anthropic")

    assert [done.text for done in dones(chunks)] == ["A"]


@pytest.mark.parametrize(
    ("kind", "error", "info"),
    [
        ("overloaded_error", StreamCut, "serverOverloaded"),
        ("rate_limit_error", StreamCut, "rateLimitExceeded"),
        ("api_error", StreamCut, "internalServerError"),
        ("invalid_request_error", ModelError, "other"),
    ],
)
async def test_an_error_in_the_stream_is_told_as_what_it_is(
    kind: str, error: type[ModelError], info: str
) -> None:
    with pytest.raises(ModelError) as caught:
        await read(HEAD, {"type": "error", "error": {"type": kind, "message": "Oh."}})

    assert (type(caught.value), caught.value.info) == (error, info)


@pytest.mark.parametrize(
    ("status", "kind", "message", "info"),
    [
        (529, "overloaded_error", "Overloaded", "serverOverloaded"),
        (429, "rate_limit_error", "This would exceed your rate limit", "rateLimitExceeded"),
        (401, "authentication_error", "invalid x-api-key", "unauthorized"),
        (404, "not_found_error", "model: claude-nope", "modelNotFound"),
        (413, "request_too_large", "Request exceeds the maximum size", "contextWindowExceeded"),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 208310 tokens > 200000 maximum",
            "contextWindowExceeded",
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            "contextWindowExceeded",
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "usageLimitExceeded",
        ),
        (400, "invalid_request_error", "max_tokens: must be positive", "badRequest"),
    ],
)
async def test_refusals_are_told_as_what_they_are(
    status: int, kind: str, message: str, info: str
) -> None:
    headers = {"retry-after": "7"} if status == 429 else {}
    step = refuse(status, message, kind=kind, headers=headers)

    async with serve([step]) as server:
        with pytest.raises(ModelError) as caught:
            await ask(server, wire_api="anthropic")

    assert (caught.value.info, caught.value.status) == (info, status)
    if status == 429:
        assert isinstance(caught.value, ModelBusy)
        assert caught.value.retry_after_s == 7


# What goes out.


async def _sent(prompt: Prompt = CLAUDE, **fields: Any) -> Event:
    async with serve([say("Hi.")]) as server:
        await ask(server, msgspec.structs.replace(prompt, **fields), wire_api="anthropic")
        sent: Event = server.requests[0].json()
    return sent


MARK = {"cache_control": {"type": "ephemeral"}}


async def test_a_request_says_what_the_api_asks_for() -> None:
    tools = b'[{"type":"function","name":"f","description":"F.","parameters":{"type":"object"}}]'
    items = (
        b'{"type":"message","role":"developer","content":"Base."}',
        b'{"type":"message","role":"developer","content":"Permissions."}',
        b'{"type":"message","role":"user","content":"Hi."}',
    )

    sent = await _sent(
        input=items, tools=tools, effort="high", output_schema=b'{"a":1}', parallel_calls=False
    )

    assert sent == {
        "model": "claude-opus-5-5",
        "max_tokens": 128_000,
        "stream": True,
        "thinking": {
            "type": "adaptive",
            "display": "summarized",
            "block_binding": {"prefix_mismatch_behavior": "drop_block"},
        },
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"a": 1}}},
        "tools": [{"name": "f", "description": "F.", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "system": [
            {"type": "text", "text": "Base."},
            {"type": "text", "text": "Permissions.", **MARK},
        ],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi.", **MARK}]}],
    }


async def test_the_key_and_the_version_are_sent_as_the_api_wants_them() -> None:
    async with serve([answer(say("A"), times=2)]) as server:
        await ask(server, CLAUDE, wire_api="anthropic", api_key="sk-ant-1")
        await ask(
            server,
            msgspec.structs.replace(CLAUDE, model="claude-haiku-4-5"),
            wire_api="anthropic",
            http_headers={"Anthropic-Version": "2024-01-01"},
        )
        first, second = (received.headers for received in server.requests)

    assert server.requests[0].path == "/v1/messages"
    assert (first["x-api-key"], first["anthropic-version"]) == ("sk-ant-1", "2023-06-01")
    assert "authorization" not in first
    assert first["anthropic-beta"] == "thinking-binding-controls-2026-08-01"
    assert second["anthropic-version"] == "2024-01-01"
    assert "anthropic-beta" not in second


async def test_a_model_thinks_in_the_way_it_can() -> None:
    budget = await _sent(model="claude-haiku-4-5", effort="low")
    off = await _sent(model="claude-haiku-5-5", effort="none")
    always = await _sent(model="claude-fable-5-2", effort="none")
    newer = await _sent(model="claude-opus-9-20300101")
    other = await _sent(model="somebody-elses")

    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 4096}
    assert budget["max_tokens"] == 64_000
    assert "output_config" not in budget
    assert off["thinking"] == {"type": "disabled"}
    assert (always["thinking"]["type"], always["output_config"]) == ("adaptive", {"effort": "low"})
    assert newer["thinking"]["type"] == "adaptive"
    assert "thinking" not in other


async def test_an_answer_has_no_more_tokens_than_are_paid_for_and_thinking_has_half() -> None:
    some = await _sent(model="claude-haiku-4-5", effort="high", max_output_tokens=6_000)
    few = await _sent(model="claude-haiku-4-5", effort="high", max_output_tokens=1_500)

    assert (some["max_tokens"], some["thinking"]["budget_tokens"]) == (6_000, 3_000)
    assert few["max_tokens"] == 1_500
    assert "thinking" not in few


async def test_a_turn_that_began_without_thinking_goes_on_without_a_budget() -> None:
    """The API refuses it otherwise; it happens when a turn was begun by another model."""
    called = b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}'
    output = b'{"type":"function_call_output","call_id":"c","output":"ok"}'
    items = (*PROMPT.input, called, output)
    later = b'{"type":"message","role":"assistant","content":"Done."}'

    within = await _sent(model="claude-haiku-4-5", effort="low", input=items)
    after = await _sent(
        model="claude-haiku-4-5", effort="low", input=(*items, later, *PROMPT.input)
    )

    assert "thinking" not in within
    assert "thinking" in after


async def test_images_go_as_data_and_as_addresses() -> None:
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
        {"type": "input_image", "image_url": "https://x.example/a.png"},
    ]
    called = b'{"type":"function_call","call_id":"c","name":"view_image","arguments":"{}"}'
    output = {"type": "function_call_output", "call_id": "c", "output": content[:1]}
    items = (
        msgspec.json.encode({"type": "message", "role": "user", "content": content}),
        called,
        msgspec.json.encode(output),
    )

    user, _asked, answered = (await _sent(input=items))["messages"]

    data = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
    assert [part["source"] for part in user["content"]] == [
        data,
        {"type": "url", "url": "https://x.example/a.png"},
    ]
    [result] = answered["content"]
    assert result["content"] == [{"type": "image", "source": data}]


async def test_a_freeform_call_comes_as_one() -> None:
    tools = b'[{"type":"custom","name":"apply_patch","description":"P."}]'
    prompt = msgspec.structs.replace(CLAUDE, tools=tools)

    async with serve([custom("apply_patch", "*** Begin")]) as server:
        [done] = dones(await ask(server, prompt, wire_api="anthropic"))

    assert done.call == Call("toolu_1_0", "apply_patch", "*** Begin", freeform=True)


async def test_ids_that_the_api_refuses_are_sent_as_ones_it_takes() -> None:
    called = b'{"type":"function_call","call_id":"functions.f:0","name":"f","arguments":"{bad"}'
    output = b'{"type":"function_call_output","call_id":"functions.f:0","output":"no"}'

    messages = (await _sent(input=(*PROMPT.input, called, output)))["messages"]

    [asked], [answered] = messages[1]["content"], messages[2]["content"]
    assert asked["id"] == answered["tool_use_id"] == "functions_f_0"
    assert asked["input"] == {"INVALID_JSON": "{bad"}
