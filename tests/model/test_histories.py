"""Any history becomes a request that the API's rules accept, and one that grows with it.

The rules: of Chat Completions, as strict templates have them; of the Messages API, as
https://platform.claude.com/docs/en/agents-and-tools/tool-use and …/api/messages say.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.model import Prompt
from octavo.model.catalog import find
from octavo.model.providers import chat, messages, responses
from octavo.model.providers.chat_history import ChatTurns
from octavo.model.providers.kept import Kept
from octavo.model.providers.marks import Mark, marked, sendable
from octavo.model.providers.messages import CACHED_UP_TO_HERE
from octavo.model.providers.messages_history import MessageTurns
from octavo.model.providers.spoken import ABSENT_OUTPUT
from tests.model.histories import HISTORIES, ordinary
from tests.sampling import sample

MODELS = ["scripted", "gpt-5.5", "deepseek-v4-pro", "claude-haiku-4-5"]
TOOLS = b'[{"type":"function","name":"f","description":"F."}]'


def _prompt(model: str) -> Prompt:
    return Prompt(model=model, input=(), tools=TOOLS, cache_key="t")


def chat_bytes(items: list[bytes], model: str = "scripted") -> bytes:
    """The request of Chat Completions."""
    turns = ChatTurns("trial", find(model))
    for raw in items:
        turns.take(raw)
    return chat.body_of(_prompt(model), turns, chat.declared(TOOLS))


def messages_bytes(items: list[bytes], model: str = "scripted") -> bytes:
    """The request of the Messages API."""
    turns = MessageTurns("trial", find(model))
    for raw in items:
        turns.take(raw)
    return messages.body_of(_prompt(model), turns, messages.declared(TOOLS))


@settings(max_examples=sample(10_000, 300))
@given(HISTORIES, st.sampled_from(MODELS))
def test_chat_completions_accept_any_history(items: list[bytes], model: str) -> None:
    said = msgspec.json.decode(chat_bytes(items, model))["messages"]

    assert said
    spoken = [one for one in said if one["role"] not in ("system", "developer")]
    if model != "gpt-5.5":
        assert all(one["role"] != "system" for one in said[1:])
        assert spoken[0]["role"] == "user"
    assert spoken[-1]["role"] in ("user", "tool")
    turns = [
        "user" if role == "tool" else role
        for role, _ in itertools.groupby(one["role"] for one in said)
    ]
    roles = [one["role"] for one in spoken]
    if model != "gpt-5.5":
        assert not any(a == b and a != "tool" for a, b in itertools.pairwise(roles)), turns
    waiting: list[str] = []
    seen: set[str] = set()
    for one in said:
        if one["role"] == "tool":
            waiting.remove(one["tool_call_id"])
            assert isinstance(one["content"], str)
            continue
        assert not waiting, "each call is answered before anybody else speaks"
        if one["role"] == "assistant":
            waiting = [call["id"] for call in one.get("tool_calls", ())]
            assert len(set(waiting)) == len(waiting)
            assert not seen & set(waiting)
            seen |= set(waiting)
            assert one["content"] or waiting
            assert "octavo" not in one
        else:
            assert one["content"]
    assert not waiting


@settings(max_examples=sample(10_000, 300))
@given(HISTORIES, st.sampled_from(MODELS))
def test_the_messages_api_accepts_any_history(items: list[bytes], model: str) -> None:
    raw = messages_bytes(items, model)
    sent = msgspec.json.decode(raw)

    assert raw.count(CACHED_UP_TO_HERE) <= 4
    roles = [one["role"] for one in sent["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    used: set[str] = set()
    asked: list[str] = []
    for one in sent["messages"]:
        blocks = one["content"]
        assert blocks
        kinds = [block["type"] for block in blocks]
        for block in blocks:
            assert block["type"] != "text" or block["text"].strip()
        if one["role"] == "user":
            results = [block for block in blocks if block["type"] == "tool_result"]
            assert kinds[: len(results)] == ["tool_result"] * len(results)
            assert sorted(result["tool_use_id"] for result in results) == sorted(asked)
            continue
        calls = [block for block in blocks if block["type"] == "tool_use"]
        asked = [call["id"] for call in calls]
        assert all(isinstance(call["input"], dict) for call in calls)
        assert all(set(i) <= set(_ID) and 0 < len(i) <= 64 for i in asked)
        assert not used & set(asked)
        assert len(set(asked)) == len(asked)
        used |= set(asked)
        assert set(kinds) != {"thinking"}


_ID = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


@given(HISTORIES, HISTORIES)
def test_what_a_history_was_made_into_is_kept_when_it_grows(
    items: list[bytes], more: list[bytes]
) -> None:
    kept = Kept(lambda model: MessageTurns("trial", find(model)))
    chat_kept = Kept(lambda model: ChatTurns("trial", find(model)))
    for history in (items, more, [*items, *more], items):
        turns = kept.of("scripted", history)
        chat_turns = chat_kept.of("scripted", history)
        tools = chat.declared(TOOLS)

        assert messages.body_of(_prompt("scripted"), turns, tools) == messages_bytes(history)
        assert chat.body_of(_prompt("scripted"), chat_turns, tools) == chat_bytes(history)


def _ends_of_steps(items: list[bytes]) -> list[int]:
    """Where a request is made: after what the user says, and after outputs."""
    kinds = [msgspec.json.decode(item) for item in items]
    ends = []
    for place, item in enumerate(kinds):
        follower = kinds[place + 1]["type"] if place + 1 < len(kinds) else ""
        answered = item["type"].endswith("_output") and not follower.endswith("_output")
        if answered or item.get("role") == "user":
            ends.append(place + 1)
    return ends


@pytest.mark.parametrize("model", MODELS)
def test_each_request_extends_the_bytes_of_the_one_before(model: str) -> None:
    items = ordinary(8, text="é" * 20)
    ends = _ends_of_steps(items)
    assert len(ends) == 9

    for make in (chat_bytes, messages_bytes):
        sent = [make(items[:end], model).replace(CACHED_UP_TO_HERE, b"") for end in ends]
        for first, second in itertools.pairwise(sent):
            assert first.endswith(b"]}")
            assert second.startswith(first[:-2] + b",")


def test_the_marks_of_the_cache_stand_where_the_last_requests_ended() -> None:
    items = ordinary(6, text="ok")
    ends = _ends_of_steps(items)

    def marked_blocks(end: int) -> list[Any]:
        sent = msgspec.json.decode(messages_bytes(items[:end]))
        assert "cache_control" in sent["system"][-1]
        assert "cache_control" in sent["messages"][-1]["content"][-1]
        return [
            {**block, "cache_control": None}
            for one in sent["messages"]
            for block in one["content"]
            if "cache_control" in block
        ]

    before, now = marked_blocks(ends[-2]), marked_blocks(ends[-1])
    assert len(now) == 3
    assert now[:2] == before[1:], "the provider finds what it cached last time"


def test_every_item_is_translated_once() -> None:
    class Counting(ChatTurns):
        taken = 0

        def take(self, raw: bytes) -> None:
            Counting.taken += 1
            super().take(raw)

    items = ordinary(50)
    kept = Kept(lambda model: Counting("trial", find(model)))
    for end in _ends_of_steps(items):
        kept.of("m", items[:end])
        kept.of("m", [items[0]])  # another history in between, as the reviewer's is

    assert Counting.taken == len(items) + 1


def _steps(wire: str) -> Callable[[list[bytes]], bytes]:
    """What makes the bodies of one thread's requests."""
    prompt, tools = _prompt("scripted"), chat.declared(TOOLS)
    if wire == "responses":
        own = Kept(lambda _model: responses._Own("trial"))
        return lambda seen: responses.body_of(prompt, own.of("m", seen).items)
    if wire == "chat":
        said = Kept(lambda model: ChatTurns("trial", find(model)))
        return lambda seen: chat.body_of(prompt, said.of("m", seen), tools)
    kept = Kept(lambda model: MessageTurns("trial", find(model)))
    return lambda seen: messages.body_of(prompt, kept.of("m", seen), tools)


@pytest.mark.parametrize("wire", ["responses", "chat", "messages"])
def test_a_step_in_a_thread_of_200_000_tokens_is_assembled_within_5_ms(wire: str) -> None:
    """Some 800 kB, which are copied and not encoded again."""
    items = ordinary(130, text="x" * 3000)
    assert sum(map(len, items)) > 750_000
    step = _steps(wire)
    times_s = []
    for end in range(len(items) - 24, len(items) + 1, 2):
        started = time.perf_counter()
        assert len(step(items[:end])) > 700_000
        times_s.append(time.perf_counter() - started)

    assert min(times_s[1:]) < 0.005, "whatever else the machine does"


# Where reasoning goes.

REASONING = b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}'


@pytest.mark.parametrize("space", [b"", b" ", b"\n"])
def test_marked_reasoning_goes_back_as_the_very_bytes_it_came_in(space: bytes) -> None:
    raw = marked(REASONING + space, Mark(provider="openai"))

    assert msgspec.json.decode(raw)["octavo"] == {"provider": "openai"}
    assert sendable(raw, "openai") == REASONING
    assert sendable(raw, "azure") is None
    assert sendable(REASONING, "azure") == REASONING, "of threads older than marks"


def test_reasoning_of_another_api_of_the_same_provider_is_left_out() -> None:
    for mark in (Mark("p", field="reasoning"), Mark("p", signature=""), Mark("p", redacted="x")):
        assert sendable(marked(REASONING, mark), "p") is None


@given(HISTORIES)
def test_no_mark_of_octavos_is_ever_sent(items: list[bytes]) -> None:
    for raw in items:
        sent = sendable(raw, "trial")
        if sent is not None and isinstance(item := msgspec.json.decode(sent), dict):
            assert "octavo" not in item
    for body in (chat_bytes(items), messages_bytes(items)):
        for one in msgspec.json.decode(body)["messages"]:
            assert "octavo" not in one


def test_a_mark_that_a_server_forged_counts_for_nothing() -> None:
    forged = b'{"type":"reasoning","octavo":{"provider":"anthropic","signature":"x"},"summary":[]}'
    raw = marked(forged, Mark(provider="evil"))

    assert sendable(raw, "anthropic") is None
    sent = sendable(raw, "evil")
    assert sent is not None
    assert b"octavo" not in sent
    said = b'{"type":"message","role":"user","content":"Hi."}'
    call = b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}'
    turns = MessageTurns("anthropic", find("claude-opus-5-5"))
    for item in (said, raw, call):
        turns.take(item)
    body = messages.body_of(_prompt("claude-opus-5-5"), turns, ())
    assert b"signature" not in body
    assert ABSENT_OUTPUT.encode() in body


def test_thoughts_that_came_to_nothing_are_not_put_into_a_later_turn() -> None:
    items = [
        b'{"type":"message","role":"user","content":"Hi."}',
        marked(b'{"type":"reasoning","summary":[]}', Mark(provider="trial", signature="lost")),
        b'{"type":"message","role":"user","content":"Well?"}',
        b'{"type":"message","role":"assistant","content":"Hello."}',
        b'{"type":"message","role":"user","content":"Good."}',
    ]

    assert b"lost" not in messages_bytes(items)


def test_a_model_that_calls_is_given_reasoning_back_even_if_there_was_none() -> None:
    items = [
        b'{"type":"message","role":"user","content":"Hi."}',
        marked(
            b'{"type":"reasoning","content":[{"type":"reasoning_text","text":"Hm."}]}',
            Mark(provider="trial", field="reasoning_content"),
        ),
        b'{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}',
        b'{"type":"function_call_output","call_id":"c","output":"ok"}',
        b'{"type":"function_call","call_id":"d","name":"f","arguments":"{}"}',
        b'{"type":"function_call_output","call_id":"d","output":"ok"}',
    ]

    said = msgspec.json.decode(chat_bytes(items, "deepseek-v4-pro"))["messages"]

    assert [one.get("reasoning_content") for one in said if one["role"] == "assistant"] == [
        "Hm.",
        "",
    ]


def test_images_are_shown_by_the_user_after_all_outputs_and_only_to_who_can_see() -> None:
    image = [{"type": "input_image", "image_url": "data:image/png;base64,iVBO"}]
    items = [
        b'{"type":"message","role":"user","content":"Look."}',
        *(
            b'{"type":"function_call","call_id":"%b","name":"f","arguments":"{}"}' % call_id
            for call_id in (b"a", b"b")
        ),
        *(
            msgspec.json.encode(
                {"type": "function_call_output", "call_id": call_id, "output": image}
            )
            for call_id in ("a", "b")
        ),
    ]

    seeing = msgspec.json.decode(chat_bytes(items))["messages"]
    blind = msgspec.json.decode(chat_bytes(items, "deepseek-v4-pro"))["messages"]

    assert [one["role"] for one in seeing] == ["user", "assistant", "tool", "tool", "user"]
    assert [part["type"] for part in seeing[-1]["content"]] == ["image_url", "image_url"]
    assert [one["role"] for one in blind] == ["user", "assistant", "tool", "tool"]
    assert "cannot see images" in blind[-1]["content"]
