"""Every call has an output, and every cut-off turn a word about it."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from octavo.context.outputs import Why, encode_output, missing_output, turn_note


def test_an_output_answers_its_call_in_the_calls_own_form() -> None:
    assert json.loads(encode_output("c1", False, "done")) == {
        "type": "function_call_output",
        "call_id": "c1",
        "output": "done",
    }
    assert json.loads(encode_output("c2", True, "done"))["type"] == "custom_tool_call_output"


def test_an_output_may_be_an_image() -> None:
    parts = [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]

    assert json.loads(encode_output("c1", False, parts))["output"] == parts


@pytest.mark.parametrize("why", get_args(Why))
def test_a_call_that_never_started_is_said_to_have_done_nothing(why: Why) -> None:
    text = json.loads(missing_output("c1", False, why, ran=False))["output"]

    assert text.startswith("Not run: ")
    assert text.endswith(" before this call started.")


@pytest.mark.parametrize("why", get_args(Why))
def test_a_call_that_may_have_had_an_effect_asks_to_look_first(why: Why) -> None:
    item = json.loads(missing_output("c1", True, why, ran=True))

    assert item["type"] == "custom_tool_call_output"
    assert item["call_id"] == "c1"
    assert "look at the actual state" in item["output"]


def test_an_interrupt_is_said_to_be_on_purpose() -> None:
    note = turn_note("interrupted")

    assert note is not None
    [part] = json.loads(note)["content"]
    assert part["text"].startswith("<turn_aborted>\nThe user interrupted this turn on purpose.")
    assert json.loads(note)["role"] == "user"


@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_a_turn_that_ended_by_itself_needs_no_note(outcome: str) -> None:
    assert turn_note(outcome) is None
