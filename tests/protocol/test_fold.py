"""The state machine of a thread: which orders are legal, and what they make of the history."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.protocol import events as ev
from octavo.protocol.fold import OutOfOrder, Spoken, Thread, TurnNote, Unanswered, fold
from octavo.protocol.hooks import HookRun
from octavo.protocol.questions import Answer, CommandQuestion
from octavo.protocol.usage import Usage

STARTED = ev.ThreadStarted("t", "/w", 0, "0", "m", "p")


def raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))


def turn(turn_id: str = "1") -> ev.TurnStarted:
    return ev.TurnStarted(turn_id, 0, "m", "p", "/w", "read-only", "never")


def said(text: str, turn_id: str = "1") -> ev.UserSpoke:
    return ev.UserSpoke(turn_id, "u", 0, raw(text))


def item(text: str, turn_id: str = "1") -> ev.ItemAdded:
    return ev.ItemAdded(turn_id, text, "message", 0, raw(text))


def call(call_id: str, turn_id: str = "1", kind: str = "function_call") -> ev.ItemAdded:
    return ev.ItemAdded(turn_id, call_id, kind, 0, raw(call_id), call_id, "exec_command")


def output(call_id: str, turn_id: str = "1", facts: ev.CallFacts | None = None) -> ev.CallEnded:
    return ev.CallEnded(turn_id, call_id, 0, raw(f"out {call_id}"), True, facts)


def step(turn_id: str = "1", tokens: int = 0) -> ev.StepEnded:
    return ev.StepEnded(turn_id, 0, Usage(total_tokens=tokens) if tokens else None)


def shell(item_id: str, turn_id: str = "1") -> ev.ShellStarted:
    return ev.ShellStarted(item_id, turn_id, 0, "ls", "/w")


def shell_end(item_id: str) -> ev.ShellEnded:
    return ev.ShellEnded(item_id, 0, ev.CallFacts(0), raw("shell"), ("untrusted",))


def context(key: str = "base", turn_id: str = "1") -> ev.ContextAdded:
    return ev.ContextAdded(turn_id, key, "d", raw(key))


def ended(outcome: str = "completed", turn_id: str = "1") -> ev.TurnEnded:
    return msgspec.convert(
        {"type": "turn_ended", "turn_id": turn_id, "at_ms": 0, "outcome": outcome}, ev.TurnEnded
    )


def texts(thread: Thread) -> list[object]:
    return [
        msgspec.json.decode(entry.raw) if isinstance(entry, Spoken) else entry
        for entry in thread.history
    ]


def test_outputs_stand_in_the_order_of_their_calls_after_the_items_of_the_step() -> None:
    thread = fold(
        [
            *(STARTED, turn(), said("go"), call("a"), output("a"), call("b"), call("c")),
            *(output("c"), item("and so"), step(), output("b")),
        ]
    )

    assert texts(thread) == ["go", "a", "b", "c", "and so", "out a", "out b", "out c"]


def test_an_interrupted_turn_leaves_every_call_with_exactly_one_entry() -> None:
    started = ev.CallStarted("1", "b", 0, ev.RunIntent("make", "/w"))
    thread = fold(
        [STARTED, turn(), call("a"), call("b"), output("a"), started, ended("interrupted")]
    )

    assert texts(thread) == [
        "a",
        "b",
        "out a",
        Unanswered("b", freeform=False, began=True, why="interrupted"),
        TurnNote("interrupted"),
    ]


def test_a_call_that_never_began_is_told_apart_from_one_that_did() -> None:
    thread = fold([STARTED, turn(), call("a", kind="custom_tool_call"), ended("crashed")])

    assert texts(thread)[1] == Unanswered("a", freeform=True, began=False, why="crashed")


def test_usage_adds_up_over_turns_and_within_one() -> None:
    thread = fold(
        [
            *(STARTED, turn(), item("x"), step(tokens=5), ended(), turn("2"), item("y", "2")),
            *(step("2", 7), item("z", "2"), step("2", 1)),
        ]
    )

    assert thread.usage.total_tokens == 13
    assert [turn.usage.total_tokens for turn in thread.turns] == [5, 8]


def spent(tokens: int, purpose: str, nano_usd: int | None, turn_id: str | None = "1") -> ev.Spent:
    usage = Usage(total_tokens=tokens)
    return ev.Spent(0, purpose, "p", "m", usage, nano_usd, turn_id=turn_id)


def test_what_was_spent_adds_up_by_purpose_by_turn_and_in_all() -> None:
    thread = fold(
        [
            *(STARTED, turn(), item("x"), spent(5, "turn", 10), step(), spent(3, "reviewer", 1)),
            *(ended(), spent(2, "compaction", None, None), turn("2"), spent(7, "turn", 4, "2")),
        ]
    )

    assert [turn.spent.nano_usd for turn in thread.turns] == [11, 4]
    assert {name: tally.nano_usd for name, tally in thread.spent_on.items()} == {
        "turn": 14,
        "reviewer": 1,
        "compaction": 0,
    }
    assert (thread.spent.usage.total_tokens, thread.spent.nano_usd) == (17, 15)
    assert (thread.spent.requests, thread.spent.unpriced) == (4, 1)
    assert thread.last_usage == Usage(total_tokens=7)
    thread.apply(msgspec.structs.replace(spent(99, "turn", 1, "2"), estimated=True))
    assert thread.last_usage == Usage(total_tokens=7)  # what was cut off fills no window
    assert thread.spent.estimated == 1


def test_a_command_may_end_after_its_turn() -> None:
    running = output("a", facts=ev.CallFacts(running=True, session_id=7))
    thread = fold([STARTED, turn(), call("a"), running, step(), ended()])
    assert list(thread.running) == ["a"]

    thread.apply(ev.ProcessEnded("a", 0, ev.CallFacts(exit_code=0)))

    assert not thread.running


@pytest.mark.parametrize(
    ("before", "illegal"),
    [
        ([], turn()),
        ([STARTED], STARTED),
        ([STARTED], item("x")),
        ([STARTED], ended()),
        ([STARTED, turn()], turn("2")),
        ([STARTED, turn()], item("x", "2")),
        ([STARTED, turn()], output("a")),
        ([STARTED, turn(), call("a")], call("a")),
        ([STARTED, turn(), call("a"), output("a")], output("a")),
        ([STARTED, turn(), call("a"), step()], item("too early")),
        ([STARTED, turn(), call("a"), step()], said("too early")),
        ([STARTED, turn(), item("a")], said("inside a step")),
        ([STARTED, turn(), call("a")], ev.Retrying("1", 0, "again", 1, 5)),
        ([STARTED, turn(), ended()], ended()),
        ([STARTED, turn(), ended()], step()),
        ([STARTED, turn(), call("a"), step(), output("a")], output("a")),
        ([STARTED], ev.ProcessEnded("a", 0, ev.CallFacts())),
        ([STARTED, turn(), ended()], spent(1, "turn", None)),
        ([STARTED, turn()], ev.QuestionAnswered("1", "q", 0, Answer("accept"))),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_and_changes_nothing(
    before: list[ev.Event], illegal: ev.Event
) -> None:
    thread = fold(before)
    history, turns = list(thread.history), len(thread.turns)

    with pytest.raises(OutOfOrder):
        thread.apply(illegal)

    assert (thread.history, len(thread.turns)) == (history, turns)


CALLS = st.sampled_from(["a", "b", "c"])
HOOK_RUNS = st.sampled_from(("h1", "h2")).map(
    lambda run_id: HookRun(
        id=run_id,
        event_name="stop",
        source_path="/hooks.json",
        source="user",
        display_order=0,
        status="running",
        started_at=0,
    )
)
ANY_EVENT = st.one_of(
    st.sampled_from(["1", "2"]).map(turn),
    st.sampled_from(["1", "2"]).flatmap(
        lambda turn_id: st.one_of(
            st.sampled_from(["completed", "interrupted", "failed", "budget", "crashed"]).map(
                lambda outcome: ended(outcome, turn_id)
            ),
            st.text(max_size=3).map(lambda text: said(text, turn_id)),
            st.text(max_size=3).map(lambda text: item(text, turn_id)),
            CALLS.map(lambda call_id: call(call_id, turn_id)),
            CALLS.map(lambda call_id: output(call_id, turn_id)),
            CALLS.map(
                lambda call_id: output(call_id, turn_id, ev.CallFacts(running=True, session_id=1))
            ),
            CALLS.map(lambda call_id: ev.CallStarted(turn_id, call_id, 0, ev.RunIntent("x", "/"))),
            CALLS.map(
                lambda call_id: ev.QuestionAsked(
                    turn_id, call_id, call_id, 0, CommandQuestion("x", "/")
                )
            ),
            CALLS.map(lambda call_id: ev.QuestionAnswered(turn_id, call_id, 0, Answer("decline"))),
            st.just(step(turn_id)),
            st.just(ev.Retrying(turn_id, 0, "again", 1, 5)),
            CALLS.map(lambda call_id: ev.Progress(turn_id, call_id, "…")),
            st.just(ev.Delta(turn_id, "i", "…")),
        )
    ),
    CALLS.map(lambda call_id: ev.ProcessEnded(call_id, 0, ev.CallFacts(exit_code=0))),
    st.just(ev.Noticed(0, "careful")),
    st.builds(
        ev.GoalSet,
        st.sampled_from(["g", "h"]),
        st.integers(0, 9),
        st.just("reach it"),
        st.sampled_from(["active", "paused", "complete"]),
    ),
    st.just(ev.GoalCleared(0)),
    st.sampled_from(["1", "2"]).map(lambda turn_id: shell("s", turn_id)),
    st.just(shell_end("s")),
    st.just(ev.Injected(0, (raw("put in"),))),
    st.sampled_from(["1", "2", None]).map(lambda turn_id: spent(1, "turn", 1, turn_id)),
    HOOK_RUNS.map(lambda run: ev.HookStarted(0, run)),
    HOOK_RUNS.map(lambda run: ev.HookEnded(0, run, labels=("untrusted",))),
)


@given(st.lists(ANY_EVENT, max_size=60))
def test_whatever_comes_the_history_pairs_every_call_with_one_output(
    events: list[ev.Event],
) -> None:
    thread = fold([STARTED])
    accepted: list[ev.Event] = [STARTED]
    for event in events:
        seen = list(thread.history)
        try:
            thread.apply(event)
        except OutOfOrder:
            assert thread.history == seen
            continue
        accepted.append(event)
        assert thread.history[: len(seen)] == seen  # only ever appended to

    if thread.turn is not None:
        thread.apply(ended("crashed", thread.turn.started.turn_id))
    calls = [e.call_id for e in accepted if isinstance(e, ev.ItemAdded) and e.call_id]
    outputs = [
        entry.call_id if isinstance(entry, Unanswered) else str(text).removeprefix("out ")
        for entry, text in zip(thread.history, texts(thread), strict=True)
        if isinstance(entry, Unanswered) or str(text).startswith("out ")
    ]
    assert sorted(outputs) == sorted(calls)
    assert sum(isinstance(e, ev.TurnStarted) for e in accepted) == len(thread.turns)
    assert all(turn.ended is not None for turn in thread.turns)


@given(st.lists(ANY_EVENT, max_size=60))
def test_what_is_stored_folds_to_the_same_thread(events: list[ev.Event]) -> None:
    thread = fold([STARTED])
    accepted: list[ev.Event] = [STARTED]
    for event in events:
        try:
            thread.apply(event)
        except OutOfOrder:
            continue
        if not isinstance(event, ev.Delta | ev.Progress | ev.ItemBegan):
            accepted.append(event)
    decode = msgspec.json.Decoder(ev.Event).decode

    again = fold(decode(msgspec.json.encode(event)) for event in accepted)

    assert again.history == thread.history
    assert list(again.running) == list(thread.running)
    assert [t.started for t in again.turns] == [t.started for t in thread.turns]


def test_a_hook_starts_before_it_ends_and_once() -> None:
    thread = fold([STARTED])
    run = HookRun(
        id="h",
        event_name="stop",
        source_path="/hooks.json",
        source="user",
        display_order=0,
        status="running",
        started_at=0,
    )
    with pytest.raises(OutOfOrder):
        thread.apply(ev.HookEnded(0, run))
    thread.apply(ev.HookStarted(0, run))
    with pytest.raises(OutOfOrder):
        thread.apply(ev.HookStarted(0, run))
    thread.apply(ev.HookEnded(0, run, labels=("untrusted",)))
    assert thread.labels == {"untrusted"}


def test_what_comes_from_outside_in_the_middle_of_a_step_goes_behind_it() -> None:
    injected = ev.Injected(0, (raw("put in"),))
    thread = fold(
        [
            *(STARTED, turn(), context(), said("go"), shell("s"), call("a"), shell_end("s")),
            *(call("b"), injected, output("b"), step(), output("a"), item("more"), step()),
        ]
    )

    assert texts(thread) == ["base", "go", "a", "b", "out a", "out b", "shell", "put in", "more"]
    assert thread.labels_at == {6: ("untrusted",)}
    assert thread.labels == {"untrusted"}


def test_what_comes_before_the_first_turn_goes_behind_the_instructions() -> None:
    injected = ev.Injected(0, (raw("put in"),), ("a",))
    first = [STARTED, injected, turn(), shell("s"), shell_end("s"), ended(turn_id="1")]
    second = [turn("2"), context("base", "2"), said("go", "2")]
    thread = fold([*first, *second])

    assert texts(thread) == ["base", "put in", "shell", "go"]
    assert thread.knows_call("a")
    with pytest.raises(OutOfOrder):
        thread.apply(injected)


def test_a_shell_command_ends_once_and_after_it_began_also_when_its_turn_is_over() -> None:
    thread = fold([STARTED, turn(), context(), shell("s"), ended()])
    assert list(thread.shells) == ["s"]
    with pytest.raises(OutOfOrder):
        thread.apply(shell_end("other"))
    thread.apply(shell_end("s"))
    with pytest.raises(OutOfOrder):
        thread.apply(shell_end("s"))
    assert texts(thread) == ["base", "shell"]


def test_a_goal_counts_uncached_tokens_and_time_of_turns_from_when_it_is_active() -> None:
    def spends(tokens: int, cached: int, turn_id: str) -> ev.Spent:
        usage = Usage(input_tokens=tokens, cached_input_tokens=cached, output_tokens=1)
        return ev.Spent(0, "turn", "p", "m", usage, None, turn_id=turn_id)

    def starts(turn_id: str, at_ms: int) -> ev.TurnStarted:
        return msgspec.structs.replace(turn(turn_id), at_ms=at_ms)

    def ends(turn_id: str, at_ms: int) -> ev.TurnEnded:
        return ev.TurnEnded(turn_id, at_ms, "completed")

    goal = ev.GoalSet("g", 5, "reach it", token_budget=100)
    thread = fold([STARTED, starts("1", 0), spends(1_000, 0, "1"), goal, spends(50, 40, "1")])
    assert thread.goal is not None
    assert (thread.goal.tokens_used, thread.goal.is_over_budget) == (11, False)
    for event in [
        *(ends("1", 10), starts("2", 20), spends(90, 0, "2")),
        msgspec.structs.replace(goal, status="complete"),
        *(spends(9, 0, "2"), ends("2", 30), starts("3", 40), spends(500, 0, "3"), ends("3", 50)),
    ]:
        thread.apply(event)

    assert (thread.goal.tokens_used, thread.goal.time_used_ms) == (112, 15)
    assert thread.goal.is_over_budget
    thread.apply(ev.GoalSet("h", 60, "another"))
    assert thread.goal.tokens_used == 0
    thread.apply(ev.GoalCleared(70))
    assert (thread.goal, thread.had_goal) == (None, True)
