"""Servers that speak the Responses API in their own way are understood all the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from octavo.model import Chunk, Completed, ItemDone, ItemStarted, TextDelta
from octavo.trial.scripted import answer, serve
from tests.model.asking import ask

pytestmark = pytest.mark.anyio

Event = dict[str, Any]


def _message(text: str, **fields: Any) -> Event:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content, **fields}


def _call(name: str, **fields: Any) -> Event:
    return {"type": "function_call", "name": name, "arguments": "{}", **fields}


def _completed(*output: Event, **fields: Any) -> Event:
    return {"type": "response.completed", "response": {"output": list(output), **fields}}


async def _read(*events: Event) -> list[Chunk]:
    async with serve([answer(events=events)]) as server:
        return await ask(server)


def _dones(chunks: list[Chunk]) -> list[ItemDone]:
    return [chunk for chunk in chunks if isinstance(chunk, ItemDone)]


async def test_ids_that_are_left_out_are_made_up_and_agree() -> None:
    chunks = await _read(
        {"type": "response.output_item.added", "item": {"type": "message"}},
        {"type": "response.output_text.delta", "delta": "Hi."},
        {"type": "response.output_item.done", "item": _message("Hi.")},
        {"type": "response.output_item.done", "item": _call("f", call_id="c")},
        _completed(),
    )

    started, delta, done, started_2, called, end = chunks
    assert isinstance(started, ItemStarted)
    assert isinstance(delta, TextDelta)
    assert isinstance(done, ItemDone)
    assert isinstance(started_2, ItemStarted)
    assert isinstance(called, ItemDone)
    assert started.item_id == delta.item_id == done.item_id
    assert started_2.item_id == called.item_id != started.item_id
    assert isinstance(end, Completed)
    assert end.usage is None


async def test_deltas_of_an_item_that_was_not_announced_announce_it() -> None:
    chunks = await _read(
        {"type": "response.output_text.delta", "item_id": "m", "delta": "Hi."},
        {"type": "response.output_item.done", "item": _message("Hi.", id="m")},
        _completed(_message("Hi.", id="m")),
    )

    assert chunks[:2] == [ItemStarted("m", "message"), TextDelta("m", "Hi.")]
    assert [done.item_id for done in _dones(chunks)] == ["m"]


async def test_an_answer_that_comes_only_at_its_end_is_read() -> None:
    chunks = await _read(_completed(_message("Hi.", id="m"), _call("f", id="x", call_id="c")))

    said, called = _dones(chunks)
    assert (said.text, called.call and called.call.name) == ("Hi.", "f")


async def test_an_item_with_other_ids_at_the_end_is_not_read_twice() -> None:
    chunks = await _read(
        {"type": "response.output_item.added", "item": {"type": "function_call", "id": "a"}},
        {"type": "response.output_item.done", "item": _call("f", id="b", call_id="c")},
        _completed(_call("f", id="z", call_id="y")),
    )

    [done] = _dones(chunks)
    assert done.item_id == "a"


async def test_items_that_all_share_one_id_and_one_place_are_all_read() -> None:
    chunks = await _read(
        {"type": "response.output_item.done", "output_index": 0, "item": _message("A", id="x")},
        {"type": "response.output_item.done", "output_index": 0, "item": _message("B", id="x")},
        _completed(),
    )

    dones = _dones(chunks)
    assert [done.text for done in dones] == ["A", "B"]
    assert len({done.item_id for done in dones}) == 2


async def test_interleaved_items_keep_their_own_deltas() -> None:
    def added(index: int, name: str) -> Event:
        item = {"type": "message", "id": name}
        return {"type": "response.output_item.added", "output_index": index, "item": item}

    def delta(index: int, text: str) -> Event:
        return {"type": "response.output_text.delta", "output_index": index, "delta": text}

    chunks = await _read(
        added(0, "a"), added(1, "b"), delta(0, "A"), delta(1, "B"), delta(0, "A"), _completed()
    )

    deltas = [chunk for chunk in chunks if isinstance(chunk, TextDelta)]
    assert [(delta.item_id, delta.text) for delta in deltas] == [("a", "A"), ("b", "B"), ("a", "A")]


async def test_a_call_without_a_call_id_gets_one_that_goes_back() -> None:
    [done] = _dones(await _read(_completed(_call("f"))))

    assert done.call is not None
    assert msgspec.json.decode(done.raw)["call_id"] == done.call.call_id != ""


async def test_arguments_sent_as_an_object_are_text_to_us() -> None:
    item = _call("f", call_id="c") | {"arguments": {"cmd": "ls"}}

    [done] = _dones(await _read(_completed(item)))

    assert done.call is not None
    assert msgspec.json.decode(done.call.arguments) == {"cmd": "ls"}


async def test_an_item_of_an_unknown_kind_is_kept_without_a_call() -> None:
    [done] = _dones(await _read(_completed({"type": "local_shell_call", "call_id": "c"})))

    assert (done.kind, done.call) == ("local_shell_call", None)


async def test_plain_json_instead_of_a_stream_is_read() -> None:
    body = msgspec.json.encode({"id": "r", "status": "completed", "output": [_message("Hi.")]})

    async with serve([answer(body=body.decode())]) as server:
        chunks = await ask(server)

    assert [done.text for done in _dones(chunks)] == ["Hi."]
    assert chunks[-1] == Completed("r", None)


async def test_json_over_several_lines_of_data_goes_back_on_one() -> None:
    pretty = msgspec.json.format(msgspec.json.encode(_message("a\nb", id="m")), indent=2)
    lines = b'{"type":"response.output_item.done","item":\n%b\n}' % pretty
    data = b"".join(b"data: %b\n" % line for line in lines.split(b"\n"))
    end = b'\ndata: {"type":"response.completed","response":{}}\n\ndata: [DONE]\n\n'
    headers = {"content-type": "text/event-stream; charset=utf-8"}

    async with serve([answer(body=(data + end).decode(), headers=headers)]) as server:
        [done] = _dones(await ask(server))

    assert b"\n" not in done.raw
    assert msgspec.json.decode(done.raw) == _message("a\nb", id="m")


async def test_unknown_events_and_odd_usage_do_no_harm() -> None:
    chunks = await _read(
        {"type": "response.rate_limits.updated", "x": 1},
        {"type": "keepalive"},
        _completed(_message("Hi."), usage={"input_tokens": "many"}),
    )

    end = chunks[-1]
    assert isinstance(end, Completed)
    assert end.usage is None
    assert len(_dones(chunks)) == 1
