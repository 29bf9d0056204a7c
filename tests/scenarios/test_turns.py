"""What a turn does, from the first request to its end."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.trial.scripted import answer, call, cut, fail, garble, refuse, say, stall, think
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio


async def test_a_message_ends_the_turn(workspace: Path) -> None:
    async with playing([say("Hello.")], workspace) as play:
        turn = await play.turn("hi")

    assert turn.status == "completed"
    assert [item.text for item in play.items(it.AgentMessage)] == ["Hello."]


async def test_a_command_runs_and_the_model_reads_what_it_said(workspace: Path) -> None:
    script = [call("exec_command", cmd="echo one; echo two >&2; exit 3"), say("It said one.")]
    async with playing(script, workspace) as play:
        turn = await play.turn("run it")

    assert turn.status == "completed"
    [output] = play.outputs()
    assert "Process exited with code 3" in output
    assert output.rstrip().endswith("Output:\none\ntwo")
    [command] = play.items(it.CommandExecution)
    assert (command.status, command.exit_code) == ("failed", 3)
    assert command.aggregated_output is not None
    assert command.aggregated_output.strip() == "one\ntwo"


async def test_calls_of_one_response_run_side_by_side_and_are_answered_in_order(
    workspace: Path,
) -> None:
    wait_for_b = "while [ ! -e b ]; do sleep 0.01; done; echo first"
    script = [
        answer(
            call("exec_command", cmd=wait_for_b), call("exec_command", cmd="touch b; echo second")
        ),
        say("Done."),
    ]
    async with playing(script, workspace) as play:
        await play.turn("both")

    first, second = play.outputs()
    assert "first" in first
    assert "second" in second


async def test_a_call_starts_while_the_response_is_still_being_written(workspace: Path) -> None:
    """The command has run before the model says the last word of the response that asked for it."""
    script = [
        answer(call("exec_command", cmd="touch started"), say("…and more", deltas=40), gap_s=0.02),
        say("Done."),
    ]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("go")
        command = await play.until_item(False, it.CommandExecution)
        message_done = [n for n in play.seen if isinstance(n, note.ItemCompleted)]
        await play.ended(turn_id)

    assert command.status == "completed"
    assert not [n for n in message_done if isinstance(n.item, it.AgentMessage)]


async def test_each_request_extends_the_one_before(workspace: Path) -> None:
    script = [
        answer(think("Look first."), call("exec_command", cmd="echo a")),
        call("exec_command", cmd="echo b"),
        say("One."),
        say("Two."),
    ]
    async with playing(script, workspace) as play:
        await play.turn("go")
        await play.turn("again")

    bodies = [r.body for r in play.model.requests if r.number]
    for earlier, later in pairwise(bodies):
        differ_at = next(n for n, (a, b) in enumerate(zip(earlier, later, strict=False)) if a != b)
        assert earlier[differ_at:].startswith(b"]")  # only the end of the input differs
        assert b'"input":[' in earlier[:differ_at]
    first, last = play.requests()[0], play.requests()[-1]
    assert last["input"][: len(first["input"])] == first["input"]
    assert last["tools"] == first["tools"]


async def test_steering_is_heard_before_the_next_request(workspace: Path) -> None:
    script = [call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done"), say("Ok.")]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("wait")
        await play.until_item(True, it.CommandExecution)
        await play.client.steer(play.thread_id, turn_id, [Text("and be quick")])
        (workspace / "go").touch()
        await play.ended(turn_id)

    last = play.requests()[-1]["input"]
    assert last[-1]["content"][0]["text"] == "and be quick"
    assert last[-2]["type"] == "function_call_output"


async def test_steering_the_wrong_turn_is_refused(workspace: Path) -> None:
    async with playing([say("x")], workspace) as play:
        with pytest.raises(RpcError, match="no active turn to steer"):
            await play.client.steer(play.thread_id, "nope", [Text("x")])


async def test_an_interrupt_ends_the_turn_once_and_kills_what_it_started(workspace: Path) -> None:
    script = [
        answer(
            call("exec_command", cmd="(while sleep 0.05; do date >> alive; done) & wait"),
            call("exec_command", cmd="echo quick"),
        ),
        say("Never mind."),
    ]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("go")
        while not (workspace / "alive").exists():
            await anyio.sleep(0.01)
        await play.client.interrupt(play.thread_id, turn_id)
        turn = await play.ended(turn_id)
        size = (workspace / "alive").stat().st_size
        await play.turn("still there?")
        after = (workspace / "alive").stat().st_size

    assert turn.status == "interrupted"
    assert after == size
    assert len([n for n in play.seen if isinstance(n, note.TurnCompleted)]) == 2
    calls = [i["call_id"] for i in play.requests()[-1]["input"] if i["type"] == "function_call"]
    answers = [
        i["call_id"] for i in play.requests()[-1]["input"] if i["type"] == "function_call_output"
    ]
    assert answers == calls
    assert "interrupted" in str(play.requests()[-1]["input"])


async def test_a_model_that_never_stops_calling_meets_the_step_limit(workspace: Path) -> None:
    def forever(request: object) -> object:
        return call("exec_command", cmd="true")

    async with playing(forever, workspace, overrides=["step_limit=3"]) as play:
        turn = await play.turn("go")

    assert turn.status == "failed"
    assert turn.error is not None
    assert "3 steps" in turn.error.message
    assert len(play.requests()) == 3


async def test_a_call_of_a_tool_that_is_not_there_is_answered_with_those_that_are(
    workspace: Path,
) -> None:
    script = [call("rm_rf", path="/"), call("exec_command", "{not json"), say("Sorry.")]
    async with playing(script, workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    unknown, broken = play.outputs()
    assert "rm_rf" in unknown
    assert "exec_command" in unknown
    assert "JSON" in broken


async def test_the_same_call_id_twice_is_told_apart(workspace: Path) -> None:
    async with playing([call("exec_command", cmd="echo 1"), say("a")], workspace) as play:
        await play.turn("one")
        first = [i["call_id"] for i in play.requests()[-1]["input"] if "call_id" in i]
    assert len(first) == 2


FAULTS = [
    refuse(500),
    refuse(503),
    cut(say("unfinished business"), after=3),
    cut(say("unfinished business"), after=4, how="clean"),
    cut(say("unfinished business"), after=4, how="inside"),
    garble("data: {not json}\n\n"),
    fail("server_is_overloaded"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: repr(fault)[:40])
async def test_a_passing_fault_is_retried_and_leaves_nothing(
    fault: object, workspace: Path
) -> None:
    async with playing([fault, say("Whole.")], workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    assert [item.text for item in play.items(it.AgentMessage)] == ["Whole."]
    assert "unfinished business" not in str(play.requests()[-1])
    assert [n for n in play.seen if isinstance(n, note.ErrorHappened) and n.will_retry]


async def test_an_item_that_was_finished_before_the_cut_is_not_said_twice(workspace: Path) -> None:
    script = [cut(say("One."), say("Two."), after=8), answer(say("One."), say("Two."))]
    async with playing(script, workspace) as play:
        await play.turn("go")
        await play.turn("and?")

    assert str(play.requests()[-1]["input"]).count("One.") == 1


async def test_after_a_cut_the_turn_goes_on_from_the_calls_that_started(workspace: Path) -> None:
    script = [
        cut(
            think("Run it."),
            call("exec_command", cmd="echo ran >> log"),
            say("x"),
            after=13,
            how="clean",
        ),
        say("Done."),
    ]
    async with playing(script, workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    assert (workspace / "log").read_text() == "ran\n"
    kinds = [i["type"] for i in play.requests()[-1]["input"]][-3:]
    assert kinds == ["reasoning", "function_call", "function_call_output"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (refuse(400, message="no such thing"), "no such thing"),
        (refuse(401, message="bad key"), "bad key"),
        (fail("context_length_exceeded", "too long"), "context"),
    ],
    ids=["400", "401", "context"],
)
async def test_a_fault_that_would_come_again_ends_the_turn_at_once(
    fault: object, said: str, workspace: Path
) -> None:
    async with playing([fault, say("unreached")], workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "failed"
    assert turn.error is not None
    assert said in turn.error.message
    assert len(play.requests()) == 1


async def test_one_budget_bounds_all_attempts(workspace: Path) -> None:
    settings = "model_providers.trial.request_max_retries=2"
    async with playing(lambda _: refuse(500), workspace, overrides=[settings]) as play:
        turn = await play.turn("go")

    assert turn.status == "failed"
    assert len(play.requests()) == 3


async def test_a_silent_stream_is_given_up_after_the_idle_time(workspace: Path) -> None:
    settings = "model_providers.trial.stream_idle_timeout_ms=200"
    async with playing(
        [stall(say("x"), after=2), say("Awake.")], workspace, overrides=[settings]
    ) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"


async def test_an_interrupt_while_waiting_to_retry_ends_the_turn(workspace: Path) -> None:
    async with playing([refuse(503, headers={"retry-after": "60"})], workspace) as play:
        turn_id = await play.begin("go")
        await play.until(note.ErrorHappened)
        await play.client.interrupt(play.thread_id, turn_id)
        turn = await play.ended(turn_id)

    assert turn.status == "interrupted"


async def test_the_diagnostic_log_says_what_happened_and_not_what_was_said(workspace: Path) -> None:
    script = [refuse(500), call("exec_command", cmd="echo secret-words"), say("Hello.")]
    home = workspace.parent / "home"
    async with playing(script, workspace, home=home, overrides=['log_level="debug"']) as play:
        await play.turn("quiet-words")

    [log] = (home / "log").iterdir()
    text = log.read_text()
    assert "TurnStarted" in text
    assert "Retrying" in text
    assert "CallEnded" in text
    assert "words" not in text
    assert log.stat().st_mode & 0o777 == 0o600


async def test_without_a_log_level_there_is_no_diagnostic_log(workspace: Path) -> None:
    home = workspace.parent / "home"
    async with playing([say("Hello.")], workspace, home=home) as play:
        await play.turn("hi")

    assert not (home / "log").exists()
