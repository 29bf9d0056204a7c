"""What is said first, and what is said again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.context.assemble import ContextItem, ContextState, context_changes, initial_context

STATE = ContextState(
    base="Be octavo.",
    permissions="You may read.",
    environment="Today.",
    developer="Use tabs.",
    skills="<skills>",
    agents_md="# AGENTS.md",
    pins="Pinned.",
    goal="Reach it.",
)

states = st.builds(
    ContextState, **dict.fromkeys(ContextState.__struct_fields__, st.sampled_from(["", "a", "b"]))
)


def digests(items: list[ContextItem]) -> dict[str, str]:
    return {item.key: item.digest for item in items}


def said(item: ContextItem) -> tuple[str, str]:
    message: dict[str, Any] = json.loads(item.raw)
    [part] = message["content"]
    assert (message["type"], part["type"]) == ("message", "input_text")
    return message["role"], part["text"]


def test_a_new_thread_is_told_everything_in_order() -> None:
    items = initial_context(STATE)

    assert [(item.key, *said(item)) for item in items] == [
        ("base", "developer", "Be octavo."),
        ("permissions", "developer", "You may read."),
        ("developer", "developer", "Use tabs."),
        ("skills", "user", "<skills>"),
        ("agents_md", "user", "# AGENTS.md"),
        ("environment", "user", "Today."),
        ("pins", "user", "Pinned."),
        ("goal", "user", "Reach it."),
    ]


def test_what_is_empty_is_not_said() -> None:
    items = initial_context(ContextState(base="Be octavo.", permissions="", environment="Today."))

    assert [item.key for item in items] == ["base", "environment"]


@pytest.mark.parametrize("key", ContextState.__struct_fields__)
def test_one_change_gives_one_message_that_replaces_the_earlier_one(key: str) -> None:
    known = digests(initial_context(STATE))

    [item] = context_changes(known, msgspec.structs.replace(STATE, **{key: "New."}))

    assert item.key == key
    text = said(item)[1]
    assert text.startswith("Update: this replaces what you were told earlier about ")
    assert text.endswith("\n\nNew.")


def test_what_is_gone_is_withdrawn_once_and_may_come_back() -> None:
    without = msgspec.structs.replace(STATE, agents_md="")
    known = digests(initial_context(STATE))

    [item] = context_changes(known, without)
    assert said(item)[1] == "Update: the AGENTS.md instructions, given earlier, no longer apply."

    known |= digests([item])
    assert context_changes(known, without) == []
    [back] = context_changes(known, STATE)
    assert said(back) == ("user", "# AGENTS.md")


@given(st.lists(states, min_size=1, max_size=5))
def test_whatever_changes_the_last_thing_said_is_the_state(history: list[ContextState]) -> None:
    known: dict[str, str] = {}
    told: dict[str, str] = {}
    for state in history:
        for item in context_changes(known, state):
            known[item.key] = item.digest
            text = said(item)[1]
            told[item.key] = "" if text.endswith("no longer apply.") else text.split("\n\n")[-1]
        assert context_changes(known, state) == []
        assert {key: text for key, text in told.items() if text} == {
            key: text for key, text in msgspec.structs.asdict(state).items() if text
        }


def test_the_same_state_gives_the_same_bytes() -> None:
    assert initial_context(STATE) == initial_context(msgspec.structs.replace(STATE))


def test_text_that_is_not_unicode_is_mended_not_fatal() -> None:
    items = initial_context(ContextState(base="a\udcff\U0001f600", permissions="", environment=""))

    assert said(items[0])[1] == "a\N{REPLACEMENT CHARACTER}\U0001f600"
