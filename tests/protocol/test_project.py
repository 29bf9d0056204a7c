"""Events as clients see them: items are begun once, closed once, and look as the wire says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.fold import OutOfOrder, Thread
from octavo.protocol.project import Projection
from octavo.protocol.usage import Usage
from tests.protocol.test_fold import ANY_EVENT, STARTED, ended, shell_end


def encoded(**fields: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))


def shown(*events: ev.Event) -> list[note.Notification]:
    """What clients of a thread with one turn are told of `events`."""
    projection = Projection("t", context_window_tokens=1000)
    turn = ev.TurnStarted("1", 1_000, "m", "p", "/w", "read-only", "never")
    return [n for event in (STARTED, turn, *events) for n in projection(event)][2:]


def made(call_id: str, name: str, **arguments: Any) -> ev.ItemAdded:
    raw = encoded(type="function_call", arguments=msgspec.json.encode(arguments).decode())
    return ev.ItemAdded("1", f"fc_{call_id}", "function_call", 0, raw, call_id, name)


def gave(call_id: str, text: str, *, ok: bool = True, **facts: Any) -> ev.CallEnded:
    raw = encoded(type="function_call_output", output=text)
    return ev.CallEnded("1", call_id, 2_000, raw, ok, ev.CallFacts(**facts) if facts else None)


def test_a_command_is_begun_shown_and_closed() -> None:
    told = shown(
        made("c", "exec_command", cmd="make"),
        ev.CallStarted("1", "c", 1_500, ev.RunIntent("make", "/w")),
        ev.Progress("1", "c", "building\n"),
        gave("c", "Wall time: 1 s\nOutput:\nbuilding\ndone\n", exit_code=0, duration_ms=500),
    )

    assert told == [
        note.ItemStarted(
            "t",
            "1",
            it.CommandExecution(
                id="c", command="make", cwd="/w", status="inProgress", started_at_ms=1_500
            ),
            1_500,
        ),
        note.CommandOutputDelta("t", "1", "c", "building\n"),
        note.ItemCompleted(
            "t",
            "1",
            it.CommandExecution(
                id="c",
                command="make",
                cwd="/w",
                status="completed",
                started_at_ms=1_500,
                completed_at_ms=2_000,
                aggregated_output="building\ndone\n",
                exit_code=0,
                duration_ms=500,
            ),
            2_000,
        ),
    ]


def test_a_command_that_outlives_its_call_is_closed_when_it_ends() -> None:
    told = shown(
        made("c", "exec_command", cmd="serve"),
        ev.CallStarted("1", "c", 0, ev.RunIntent("serve", "/w")),
        gave("c", "…\nOutput:\nlistening\n", running=True, session_id=7),
        ev.TurnEnded("1", 3_000, "completed"),
        ev.ProcessEnded("c", 9_000, ev.CallFacts(exit_code=143)),
    )

    [closed] = [n for n in told if isinstance(n, note.ItemCompleted)]
    assert told.index(closed) == len(told) - 1
    assert isinstance(closed.item, it.CommandExecution)
    assert (closed.item.status, closed.item.exit_code) == ("failed", 143)
    assert closed.item.aggregated_output == "listening\n"


def test_a_patch_shows_its_diff_and_the_turn_s() -> None:
    edit = ev.FileEdit("/w/a.py", "update", "@@ -1 +1 @@\n-a\n+b\n")
    told = shown(
        made("p", "apply_patch", input="…"),
        ev.CallStarted("1", "p", 0, ev.EditIntent((edit,))),
        gave("p", "Success."),
    )

    started, completed, diff = told
    assert isinstance(started, note.ItemStarted)
    assert isinstance(completed, note.ItemCompleted)
    assert isinstance(completed.item, it.FileChange)
    assert completed.item.status == "completed"
    wire = msgspec.to_builtins(completed.item)
    assert list(wire["changes"]) == [
        {
            "path": "/w/a.py",
            "kind": {"type": "update", "move_path": None},
            "diff": "@@ -1 +1 @@\n-a\n+b\n",
        }
    ]
    assert diff == note.DiffUpdated("t", "1", "--- a/w/a.py\n+++ b/w/a.py\n@@ -1 +1 @@\n-a\n+b\n")


def test_a_plan_an_image_and_a_mistake_have_items_of_their_own() -> None:
    steps = [{"step": "look", "status": "in_progress"}, {"step": "mend", "status": "pending"}]
    told = shown(
        made("1", "update_plan", plan=steps),
        gave("1", "Plan updated"),
        made("2", "view_image", path="a.png"),
        gave("2", ""),
        made("3", "rm_rf", path="/"),
        gave("3", "There is no tool 'rm_rf'.", ok=False),
    )

    assert told[0] == note.PlanUpdated(
        "t",
        "1",
        None,
        (note.PlanStep("look", "inProgress"), note.PlanStep("mend", "pending")),
    )
    items = [n.item for n in told if isinstance(n, note.ItemCompleted)]
    assert [type(item) for item in items] == [it.ImageView, it.DynamicToolCall]
    assert isinstance(items[1], it.DynamicToolCall)
    assert items[1].success is False


def test_usage_counts_the_response_the_turn_and_the_thread() -> None:
    projection = Projection("t", context_window_tokens=10, total=Usage(total_tokens=100))
    turn = ev.TurnStarted("1", 0, "m", "p", "/w", "read-only", "never")
    events = [turn, *(ev.StepEnded("1", 0, Usage(total_tokens=n)) for n in (1, 2))]
    told = [n for e in events for n in projection(e) if isinstance(n, note.TokenUsageUpdated)]

    assert told[-1].token_usage == note.TokenUsage(
        Usage(total_tokens=103), Usage(total_tokens=2), 10, Usage(total_tokens=3)
    )


def spent(tokens: int, purpose: str = "turn") -> ev.Spent:
    return ev.Spent(0, purpose, "p", "m", Usage(total_tokens=tokens), turn_id="1")


def test_a_steps_usage_is_told_after_its_items_and_that_of_others_at_once() -> None:
    projection = Projection("t", context_window_tokens=10)
    turn = ev.TurnStarted("1", 0, "m", "p", "/w", "read-only", "never")
    item = ev.ItemAdded("1", "a", "message", 0, msgspec.Raw(b"{}"))
    events = [turn, spent(1), item, ev.StepEnded("1", 0), spent(2, "reviewer")]
    told = [n for e in events for n in projection(e)]

    kinds = [type(n) for n in told[-4:]]
    updated = note.TokenUsageUpdated
    assert kinds == [note.ItemStarted, note.ItemCompleted, updated, updated]
    last = told[-1]
    assert isinstance(last, note.TokenUsageUpdated)
    assert last.token_usage == note.TokenUsage(
        Usage(total_tokens=3), Usage(total_tokens=1), 10, Usage(total_tokens=3)
    )


@pytest.mark.parametrize(
    "end", [ev.Retrying("1", 0, "Again.", 1, 4), ev.TurnEnded("1", 0, "budget", "Spent.")]
)
def test_the_usage_of_what_was_cut_off_is_told_as_well(end: ev.Event) -> None:
    projection = Projection("t")
    turn = ev.TurnStarted("1", 0, "m", "p", "/w", "read-only", "never")
    told = [n for e in (turn, spent(1), end) for n in projection(e)]

    assert [
        n.token_usage.total.total_tokens for n in told if isinstance(n, note.TokenUsageUpdated)
    ] == [1]


def test_a_failed_attempt_is_told_as_an_error_that_is_retried() -> None:
    [told] = shown(
        ev.Retrying("1", 0, "The connection was refused.", 1, 4, "httpConnectionFailed", 503)
    )

    assert isinstance(told, note.ErrorHappened)
    assert told.will_retry
    assert told.error.codex_error_info == {"httpConnectionFailed": {"httpStatusCode": 503}}


@given(st.lists(ANY_EVENT, max_size=60))
def test_whatever_happens_each_item_is_begun_and_closed_once(events: list[ev.Event]) -> None:
    thread, projection = Thread(), Projection("t")
    begun: list[str] = []
    closed: list[str] = []

    def take(event: ev.Event) -> None:
        if isinstance(event, ev.ItemAdded | ev.CallEnded | ev.UserSpoke | ev.ShellEnded):
            raw = {"content": [{"type": "input_text", "text": "x"}], "output": "x"}
            event = msgspec.structs.replace(event, raw=encoded(**raw))
        try:
            thread.apply(event)
        except OutOfOrder:
            return
        for notification in projection(event):
            if isinstance(notification, note.ItemStarted):
                begun.append(notification.item.id)
            if isinstance(notification, note.ItemCompleted):
                closed.append(notification.item.id)

    for event in [STARTED, *events]:
        take(event)
    if thread.turn is not None:
        take(ended("crashed", thread.turn.started.turn_id))
    for call_id in list(thread.running):
        take(ev.ProcessEnded(call_id, 0, ev.CallFacts(exit_code=0)))
    for item_id in list(thread.shells):
        take(shell_end(item_id))

    assert sorted(begun) == sorted(closed)


def test_a_compaction_is_an_item_and_a_notification_in_codex_own_words() -> None:
    usage = Usage(input_tokens=90, total_tokens=100)
    told = shown(
        ev.ItemBegan("1", "c", "compaction", 1_500),
        ev.Retrying("1", 1_600, "busy", 1, 3),
        ev.Compacted(
            *("1", "c", 2_000, "local", "auto", 0, (), {}, 900, 100),
            model="m",
            provider="p",
            usage=usage,
        ),
    )

    started, _, completed, compacted, tokens = told
    assert isinstance(started, note.ItemStarted)
    assert started.item == it.ContextCompaction(id="c", started_at_ms=1_500)
    assert msgspec.json.decode(msgspec.json.encode(completed)) == {
        "threadId": "t",
        "turnId": "1",
        "completedAtMs": 2_000,
        "item": {
            "type": "contextCompaction",
            "id": "c",
            "startedAtMs": 1_500,
            "completedAtMs": 2_000,
            "octavoKind": "local",
            "octavoTokensBefore": 900,
            "octavoTokensAfter": 100,
        },
    }
    assert (compacted.method, msgspec.json.encode(compacted)) == (
        "thread/compacted",
        b'{"threadId":"t","turnId":"1"}',
    )
    assert isinstance(tokens, note.TokenUsageUpdated)
    assert tokens.token_usage == note.TokenUsage(usage, Usage(total_tokens=100), 1000, usage)
