"""What a hook's end means."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.hooks.process import Ran
from octavo.agent.hooks.reply import NOTHING, Verdict, join, read_reply
from octavo.config.hooks import EVENTS
from octavo.protocol.hooks import HookEntry
from octavo.sandbox import Exit


def ended(code: int, out: object = b"", err: bytes = b"") -> Ran:
    data = out if isinstance(out, bytes) else msgspec.json.encode(out)
    return Ran(Exit(code=code), data, err, len(data))


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_silence_is_agreement(event: str) -> None:
    assert read_reply(event, ended(0)) == NOTHING


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_exit_2_is_a_no_even_without_a_reason(event: str) -> None:
    assert read_reply(event, ended(2)).block == "It gave no reason."
    assert read_reply(event, ended(2, b'{"continue": true}', b"No.\n")).block == "No."


@pytest.mark.parametrize(
    ("event", "context"),
    [("SessionStart", ("Hi.",)), ("UserPromptSubmit", ("Hi.",)), ("PreToolUse", ()), ("Stop", ())],
)
def test_plain_text_is_context_where_something_begins(event: str, context: tuple[str, ...]) -> None:
    assert read_reply(event, ended(0, b" Hi.\n")).context == context


@pytest.mark.parametrize(
    ("event", "said", "block"),
    [
        (
            "PreToolUse",
            {"hookSpecificOutput": {"permissionDecision": "deny"}},
            "It gave no reason.",
        ),
        ("PreToolUse", {"hookSpecificOutput": {"permissionDecision": "allow"}}, None),
        ("PreToolUse", {"decision": "block", "reason": "No."}, "No."),
        ("PreToolUse", {"decision": "approve"}, None),
        (
            "PreToolUse",
            {"decision": "block", "hookSpecificOutput": {"permissionDecision": "allow"}},
            None,
        ),
        ("PostToolUse", {"decision": "block", "reason": "Look."}, "Look."),
        ("Stop", {"decision": "block", "reason": "On."}, "On."),
        ("UserPromptSubmit", {"decision": "block"}, "It gave no reason."),
        (
            "PermissionRequest",
            {"hookSpecificOutput": {"decision": {"behavior": "deny", "message": "No."}}},
            "No.",
        ),
        ("PermissionRequest", {"hookSpecificOutput": {"decision": {"behavior": "allow"}}}, None),
    ],
)
def test_decisions_are_read_as_their_writers_meant_them(
    event: str, said: object, block: str | None
) -> None:
    assert read_reply(event, ended(0, said)).block == block


def test_the_newer_decision_beats_the_older_one() -> None:
    said = {"decision": "approve", "hookSpecificOutput": {"permissionDecision": "deny"}}
    assert read_reply("PreToolUse", ended(0, said)).block is not None


def test_continue_false_stops_whatever_else_is_said() -> None:
    said = {"continue": False, "stopReason": "Enough.", "decision": "approve"}
    verdict = read_reply("PostToolUse", ended(0, said))
    assert (verdict.stop, verdict.block, verdict.status) == ("Enough.", None, "stopped")


def test_a_message_for_the_person_is_not_for_the_model() -> None:
    verdict = read_reply("Stop", ended(0, {"systemMessage": "Hi.", "suppressOutput": True}))
    assert verdict == Verdict(entries=(HookEntry("warning", "Hi."),))


def test_unknown_words_are_passed_over() -> None:
    assert read_reply("Stop", ended(0, {"newer": 1, "hookSpecificOutput": {"x": 2}})) == NOTHING


def test_text_that_is_cut_within_a_character_is_text() -> None:
    data = "ä".encode() * 10
    ran = Ran(Exit(code=0), data[:19], b"", 20)
    assert read_reply("SessionStart", ran).context == ("ä" * 9,)


ENDS = st.one_of(
    st.none(),
    st.builds(Exit, code=st.integers(0, 255)),
    st.builds(Exit, signal=st.integers(1, 64)),
)


@given(
    st.sampled_from(sorted(EVENTS)),
    ENDS,
    st.one_of(st.binary(max_size=40), st.recursive(st.text(), st.lists).map(msgspec.json.encode)),
    st.binary(max_size=20),
    st.integers(0, 50),
)
def test_whatever_a_hook_does_means_something(
    event: str, end: Exit | None, out: bytes, err: bytes, more: int
) -> None:
    verdict = read_reply(event, Ran(end, out, err, len(out) + more))

    assert verdict.status in ("completed", "failed", "blocked", "stopped")
    assert (verdict.block is not None) == (verdict.status == "blocked")
    if verdict.status == "failed":
        assert not (verdict.stop)
        assert not (verdict.ask)
        assert not (verdict.context)
        assert not (verdict.input)
        assert [entry.kind for entry in verdict.entries] == ["error"]
    else:
        assert end is not None
        assert end.code in (0, 2)


KEYS = ("decision", "reason", "continue", "stopReason", "systemMessage", "hookSpecificOutput")
INNER = ("permissionDecision", "permissionDecisionReason", "additionalContext", "updatedInput")
WORDS = st.one_of(
    st.sampled_from(["allow", "deny", "ask", "block", "approve", ""]), st.booleans(), st.none()
)


@given(
    st.sampled_from(sorted(EVENTS)),
    st.dictionaries(
        st.sampled_from(KEYS), st.one_of(WORDS, st.dictionaries(st.sampled_from(INNER), WORDS))
    ),
)
def test_an_answer_in_json_never_allows_what_it_denies(event: str, said: dict[str, object]) -> None:
    verdict = read_reply(event, ended(0, said))

    inner = said.get("hookSpecificOutput")
    denies = isinstance(inner, dict) and inner.get("permissionDecision") == "deny"
    if denies and event == "PreToolUse" and verdict.status != "failed":
        assert verdict.block is not None or verdict.stop is not None


def test_one_no_is_a_no_and_the_last_input_counts() -> None:
    joined = join(
        [
            Verdict(block="a", context=("x",)),
            Verdict(input={"command": "1"}),
            Verdict(block="b", stop="c"),
            Verdict(input={"command": "2"}, context=("y",)),
        ]
    )
    assert joined == Verdict(block="a\n\nb", stop="c", input={"command": "2"}, context=("x", "y"))
