"""Leaving parts of a thread out: in which order, and that what is left makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.encode import encode
from octavo.context.parts import Part, joined, parts_of, tokens_of
from octavo.context.shorten import shorten, with_notes
from octavo.context.tokens import USUAL, item_tokens
from octavo.protocol import events as ev


def user(text: str) -> bytes:
    content = [{"type": "input_text", "text": text}]
    return encode({"type": "message", "role": "user", "content": content})


def says(text: str) -> bytes:
    content = [{"type": "output_text", "text": text}]
    return encode({"type": "message", "role": "assistant", "content": content})


def call(call_id: str) -> bytes:
    arguments = f'{{"cmd":"make {call_id}"}}'
    item = {"type": "function_call", "call_id": call_id, "name": "exec_command"}
    return encode({**item, "arguments": arguments})


def output(call_id: str, tokens: int) -> bytes:
    text = "x" * (tokens * 4)
    return encode({"type": "function_call_output", "call_id": call_id, "output": text})


def thread(turns: int, steps: int, output_tokens: int = 1000) -> list[Part]:
    """Turns of as many steps, each with two calls."""
    items: list[bytes] = [user("surroundings")]
    said = set()
    for turn in range(turns):
        said.add(len(items))
        items.append(user(f"message {turn}"))
        for step in range(steps):
            ids = [f"{turn}.{step}.{n}" for n in range(2)]
            items += [says(f"now {turn}.{step}"), *map(call, ids)]
            items += [output(call_id, output_tokens) for call_id in ids]
    parts = parts_of(enumerate(items), said=said, context={0})
    parts[0].fixed = True
    return parts


def left(parts: Sequence[Part]) -> list[Any]:
    return [msgspec.json.decode(part.raw) for part in parts if not part.dropped]


def cut_to(parts: list[Part], tokens: int) -> list[Part]:
    shorten(parts, spare_tokens=tokens, users_tokens=tokens)
    return list(with_notes(parts, len(parts)))


def check_pairs(items: Sequence[Any]) -> None:
    calls = [item["call_id"] for item in items if item["type"] == "function_call"]
    assert calls == [i["call_id"] for i in items if i["type"] == "function_call_output"]


def test_a_thread_is_taken_apart_into_steps_and_turns() -> None:
    parts = thread(2, 2)

    assert [(part.kind, part.turn, part.step) for part in parts][:7] == [
        *(("context", 0, -1), ("user", 1, -1)),
        *[("step", 1, 0)] * 5,
    ]
    assert [part.step for part in parts][7:12] == [1] * 5
    assert (parts[-1].turn, parts[-1].step) == (2, 3)


def test_what_fits_is_left_alone() -> None:
    parts = thread(2, 2)
    before = left(parts)

    assert left(cut_to(parts, 100_000)) == before


def test_the_oldest_outputs_go_first_each_with_a_line_that_finds_it() -> None:
    parts = thread(2, 2)

    after = left(cut_to(parts, tokens_of(parts) - 1500))

    outputs = [item["output"] for item in after if item["type"] == "function_call_output"]
    assert outputs[0] == (
        '[Left out to make room: the output of exec_command {"cmd":"make 0.0.0"}, about '
        '1,016 tokens. recall {"item": 5} shows it.]'
    )
    assert outputs[1].startswith("[Left out")
    assert [text[0] for text in outputs[2:]] == ["x"] * 6
    check_pairs(after)


def test_then_whole_turns_go_and_the_users_messages_stay() -> None:
    parts = thread(4, 3, output_tokens=200)

    after = left(cut_to(parts, 1200))

    texts = [item["content"][0]["text"] for item in after if item["type"] == "message"]
    assert [text for text in texts if text.startswith("message")] == [
        f"message {turn}" for turn in range(4)
    ]
    notes = [text for text in texts if text.startswith("[Left out here")]
    assert notes[0].startswith(
        "[Left out here to make room, without a summary: items 2 to 16 of the record"
    )
    assert "now 3.2" in texts
    assert "now 0.0" not in texts
    check_pairs(after)


def test_of_one_long_turn_the_oldest_steps_go() -> None:
    parts = thread(1, 40, output_tokens=100)

    after = left(cut_to(parts, 1500))

    texts = [item["content"][0]["text"] for item in after if item["type"] == "message"]
    assert texts[1] == "message 0"
    assert texts[-1] == "now 0.39"
    assert "now 0.0" not in texts
    assert len([text for text in texts if text.startswith("[Left out here")]) == 1


@given(
    st.integers(1, 5), st.integers(0, 5), st.integers(0, 400), st.integers(0, 4000), st.booleans()
)
def test_whatever_is_left_out_calls_and_outputs_pair_and_it_fits_or_is_next_to_nothing(
    turns: int, steps: int, output_tokens: int, spare_tokens: int, last_fixed: bool
) -> None:
    parts = thread(turns, steps, output_tokens)
    last = max(part.step for part in parts)
    for part in parts:
        part.fixed = part.fixed or (last_fixed and part.kind == "step" and part.step == last)
    before = tokens_of(parts)

    shown = cut_to(parts, spare_tokens)

    after = left(shown)
    check_pairs(after)
    assert after[0] == msgspec.json.decode(user("surroundings"))
    assert msgspec.json.decode(user(f"message {turns - 1}")) in after
    if spare_tokens >= before:
        assert tokens_of(shown) == before
    unfixed = [
        part for part in parts if not part.dropped and part.kind == "step" and not part.fixed
    ]
    assert tokens_of(part for part in parts) <= max(spare_tokens, before) or not unfixed
    # Of the pieces of the history the event names, none overlaps another.
    kept = [one for one in joined(part.shown() for part in shown) if isinstance(one, ev.Kept)]
    assert all(a.until < b.first for a, b in pairwise(kept))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"type":5}', b'{"type":"new"}'])
def test_an_item_of_an_unknown_form_is_a_part_like_others(raw: bytes) -> None:
    [part] = parts_of([(0, raw)], said=set(), context=set())

    assert part.raw == raw


def test_an_image_is_worth_the_same_whatever_its_bytes() -> None:
    def message(size_bytes: int, images: int) -> bytes:
        image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * size_bytes}
        return encode({"type": "message", "role": "user", "content": [image] * images})

    assert item_tokens(message(4_000_000, 1)) == item_tokens(message(400, 1))
    assert item_tokens(message(4_000_000, 2)) >= 2 * USUAL.image_tokens
    assert item_tokens(message(1, 1)) < USUAL.image_tokens + 100
