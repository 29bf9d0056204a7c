"""A thread that has a goal works on by itself until it is reached, or cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from octavo.protocol import goals as g
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol import sessions as s
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.trial.scripted import Script, answer, call, refuse, say
from tests.scenarios.hooking import own
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

DONE = answer(call("update_goal", status="complete"))


def work(name: str) -> Any:
    return call("exec_command", cmd=f"touch {name}")


async def set_goal(play: Play, objective: str | None = None, **fields: Any) -> note.ThreadGoal:
    params = g.GoalSetParams(play.thread_id, objective, **fields)
    return (await play.client.call(g.GOAL_SET, params)).goal


async def get_goal(play: Play) -> note.ThreadGoal:
    goal = (await play.client.call(g.GOAL_GET, m.ThreadIdParams(play.thread_id))).goal
    assert goal is not None
    return goal


async def stopped(play: Play) -> note.ThreadGoal:
    """Read up to where the goal is not active any more, and its last turn has ended."""
    while True:
        told: note.GoalUpdated = await play.until(note.GoalUpdated)
        if told.goal.status != "active" and told.turn_id is None:
            return told.goal


def turns(play: Play) -> list[str]:
    return [n.turn.status for n in play.seen if isinstance(n, note.TurnCompleted)]


async def test_it_goes_on_from_turn_to_turn_until_the_model_says_that_it_is_done(
    workspace: Path,
) -> None:
    script: Script = [work("a"), say("a is there."), work("b"), say("b, too."), DONE, say("All.")]
    async with playing(script, workspace) as play:
        began = await set_goal(play, "Make a and b.")
        goal = await stopped(play)
        first, *later = play.requests()

    assert (began.status, began.tokens_used) == ("active", 0)
    assert (goal.status, goal.objective) == ("complete", "Make a and b.")
    assert goal.tokens_used > 0
    assert turns(play) == ["completed"] * 3
    assert (workspace / "b").exists()
    assert "Make a and b." in str(first["input"])
    names = [tool["name"] for tool in first["tools"] if "name" in tool]
    assert names[-3:] == ["get_goal", "create_goal", "update_goal"]
    for request in later:
        assert request["input"][: len(first["input"])] == first["input"]
        assert request["tools"] == first["tools"]
        assert str(request["input"]).count("Make a and b.") == 1


async def test_a_thread_without_a_goal_is_offered_nothing_of_it(workspace: Path) -> None:
    async with playing([say("Hello.")], workspace) as play:
        await play.turn("hi")
        [request] = play.requests()

    assert "goal" not in str(request["tools"])
    assert "<goal>" not in str(request["input"])


async def test_what_a_person_says_comes_before_the_next_turn(workspace: Path) -> None:
    script: Script = [say("Hello."), work("a"), say("a."), DONE, say("All.")]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("Leave b alone.")
        await set_goal(play, "Make a.")
        await play.ended(turn_id)
        await stopped(play)
        second = play.requests()[1]

    assert "goal_turn" not in str(play.requests()[0])
    assert "Begin to work on the goal" in str(second["input"][-1])


async def test_steering_a_turn_of_the_goal_is_heard_in_it_and_it_goes_on(workspace: Path) -> None:
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    script: Script = [wait, say("Yes."), DONE, say("All.")]
    async with playing(script, workspace) as play:
        await set_goal(play, "Wait for it.")
        begun = await play.until(note.TurnStarted)
        steered = m.TurnSteerParams(play.thread_id, (Text("Also b."),), begun.turn.id)
        await play.client.call(m.TURN_STEER, steered)
        (workspace / "go").touch()
        goal = await stopped(play)

    assert goal.status == "complete"
    assert "Also b." in str(play.requests()[1]["input"])


async def test_an_interrupt_pauses_it_and_it_can_be_set_going_again(workspace: Path) -> None:
    wait = call("exec_command", cmd="touch began; while [ ! -e go ]; do sleep 0.01; done")
    script: Script = [wait, DONE, say("All.")]
    async with playing(script, workspace) as play:
        await set_goal(play, "Wait for it.")
        begun = await play.until(note.TurnStarted)
        await play.until_item(True, it.CommandExecution)
        await play.client.interrupt(play.thread_id, begun.turn.id)
        paused = await stopped(play)
        await set_goal(play, status="active")
        goal = await stopped(play)

    assert (paused.status, turns(play)[0]) == ("paused", "interrupted")
    assert goal.status == "complete"


async def test_where_the_budget_is_used_up_the_model_is_told_to_wrap_up(workspace: Path) -> None:
    script: Script = [
        answer(work("a"), input_tokens=900, output_tokens=200),
        answer(say("a is there; b is not."), input_tokens=10, output_tokens=10),
    ]
    async with playing(script, workspace) as play:
        await set_goal(play, "Make a and b.", token_budget=1_000)
        goal = await stopped(play)
        last = play.requests()[-1]

    assert (goal.status, goal.tokens_used) == ("budgetLimited", 1_120)
    assert "1,100 of 1,000 tokens" in str(last["input"][-1])
    assert turns(play) == ["completed"]
    [warned] = [n for n in play.seen if isinstance(n, note.Warned)]
    assert (warned.octavo_code, "bigger budget" in warned.message) == ("goal.stopped", True)


async def test_a_model_that_does_not_wrap_up_is_not_waited_for(workspace: Path) -> None:
    first = answer(work("a"), input_tokens=2_000, output_tokens=1)
    script: Script = [first, *(work(f"more-{n}") for n in range(20))]
    async with playing(script, workspace) as play:
        await set_goal(play, "Make a and b.", token_budget=1_000)
        goal = await stopped(play)

    assert goal.status == "budgetLimited"
    assert len(play.requests()) == 9


async def test_turns_that_bring_nothing_new_are_stopped_with_a_sentence(workspace: Path) -> None:
    same = call("exec_command", cmd="echo same")
    script: Script = [x for _ in range(4) for x in (same, say("Looking into it."))]
    async with playing(script, workspace) as play:
        await set_goal(play, "Find it.")
        goal = await stopped(play)
        last = play.requests()[-1]

    assert (goal.status, len(turns(play))) == ("blocked", 4)
    assert goal.octavo_reason is not None
    assert "nothing new" in goal.octavo_reason
    assert "The last 2 turns brought nothing new" in str(last["input"])


async def test_a_turn_that_fails_pauses_it(workspace: Path) -> None:
    async with playing([refuse(401)], workspace) as play:
        await set_goal(play, "Make a.")
        goal = await stopped(play)

    assert goal.status == "paused"
    assert turns(play) == ["failed"]


async def test_it_survives_the_end_of_the_process(workspace: Path) -> None:
    script: Script = [answer(work("a"), input_tokens=50, output_tokens=5), refuse(401)]
    async with playing(script, workspace) as play:
        await set_goal(play, "Make a.", token_budget=10_000)
        before = await stopped(play)
        thread_id = play.thread_id
    async with playing([DONE, say("All.")], workspace, start=False) as play:
        play.thread_id = thread_id
        read = await get_goal(play)
        await play.resume(thread_id)
        after = (await play.until(note.GoalUpdated)).goal
        await set_goal(play, status="active")
        goal = await stopped(play)

    assert read == after == before
    assert (before.tokens_used, before.token_budget) == (55, 10_000)
    assert goal.status == "complete"
    assert goal.tokens_used > 55


async def test_it_can_be_cleared_and_what_it_was_is_forgotten(workspace: Path) -> None:
    async with playing([DONE, say("Done."), say("Hi.")], workspace) as play:
        await set_goal(play, "Nothing.")
        await stopped(play)
        cleared = await play.client.call(g.GOAL_CLEAR, m.ThreadIdParams(play.thread_id))
        again = await play.client.call(g.GOAL_CLEAR, m.ThreadIdParams(play.thread_id))
        got = await play.client.call(g.GOAL_GET, m.ThreadIdParams(play.thread_id))
        await play.turn("hi")

    assert (cleared.cleared, again.cleared, got.goal) == (True, False, None)
    assert any(isinstance(n, note.GoalCleared) for n in play.seen)
    assert "the goal, given earlier, no longer apply" in str(play.requests()[-1]["input"])


async def test_a_model_gets_no_new_goal_where_nobody_agrees(workspace: Path) -> None:
    another = call("create_goal", objective="Take over the world.")
    script: Script = [DONE, say("Done."), another, say("Then not.")]
    async with playing(script, workspace) as play:
        await set_goal(play, "Nothing.")
        await stopped(play)
        await play.turn("and now?")
        goal = await get_goal(play)

    assert "Nobody agreed" in play.outputs()[-1]
    assert goal.objective == "Nothing."


async def test_a_model_may_set_the_next_goal_where_a_person_agrees(workspace: Path) -> None:
    another = call("create_goal", objective="Make c.", token_budget=5_000_000)
    script: Script = [DONE, say("Done."), another, say("I will."), DONE, say("All.")]

    async def yes(method: str, params: bytes) -> Any:
        assert method == "item/tool/requestUserInput"
        assert b"Make c." in params
        return {"answers": {"goal": {"answers": ["Yes"]}}}

    async with playing(script, workspace, alone=False, answer=yes) as play:
        await set_goal(play, "Nothing.")
        await stopped(play)
        await play.begin("Go on with c, on your own.")
        goal = await stopped(play)

    assert (goal.objective, goal.status, goal.token_budget) == ("Make c.", "complete", 5_000_000)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "active"}, "no goal"),
        ({"objective": " "}, "empty"),
        ({"objective": "x" * 4_001}, "4,000"),
        ({"objective": "x", "token_budget": 0}, "more than 0"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    fields: dict[str, Any], said: str, workspace: Path
) -> None:
    async with playing([], workspace) as play:
        with pytest.raises(RpcError, match=said):
            await set_goal(play, **fields)


async def test_it_goes_on_where_the_process_died_in_the_middle_of_a_turn(workspace: Path) -> None:
    wait = call("exec_command", cmd="touch began; while [ ! -e go ]; do sleep 0.01; done")
    async with playing([wait], workspace, source="app-server") as play:
        await set_goal(play, "Wait for it.")
        await play.until_item(True, it.CommandExecution)
        thread_id = play.thread_id
    script: Script = [work("a"), say("Going on."), DONE, say("All.")]
    async with playing(script, workspace, start=False, source="app-server") as play:
        await play.resume(thread_id)
        goal = await stopped(play)

    assert (goal.status, turns(play)) == ("complete", ["completed"] * 2)
    assert "Wait for it." in str(play.requests()[0]["input"])


async def test_a_fork_leaves_the_goal_to_its_thread(workspace: Path) -> None:
    async with playing([DONE, say("Done.")], workspace) as play:
        await set_goal(play, "Nothing.")
        await stopped(play)
        await set_goal(play, status="paused")
        forked = await play.client.call(s.THREAD_FORK, s.ThreadForkParams(play.thread_id))
        got = await play.client.call(g.GOAL_GET, m.ThreadIdParams(forked.thread.id))

    assert got.goal is None


async def test_it_is_before_the_model_after_a_compaction_and_said_once(workspace: Path) -> None:
    full = answer(work("a"), input_tokens=95_000)
    script: Script = [full, say("## Goal\nIt."), say("So far."), DONE, say("All.")]
    overrides = ["model_context_window=100_000"]
    async with playing(script, workspace, overrides=overrides) as play:
        await set_goal(play, "Make the things that belong here.")
        goal = await stopped(play)
        last = play.requests()[-1]

    assert goal.status == "complete"
    assert [n for n in play.seen if isinstance(n, note.Compacted)]
    assert str(last["input"]).count("Make the things that belong here.") == 1
    assert [t["name"] for t in last["tools"] if "name" in t][-1] == "update_goal"


async def test_hooks_stand_around_its_turns_as_around_others(workspace: Path) -> None:
    own(workspace, ("Stop", None, "echo stop >> stops.txt"))
    async with playing([say("Thinking."), DONE, say("All.")], workspace) as play:
        await set_goal(play, "Nothing.")
        await stopped(play)

    assert (workspace / "stops.txt").read_text() == "stop\nstop\n"


@pytest.mark.parametrize("event", ["PostToolUse", "Stop"])
async def test_a_hook_that_stops_its_turn_pauses_it(event: str, workspace: Path) -> None:
    own(workspace, (event, None, """echo '{"continue": false, "stopReason": "Enough."}'"""))
    async with playing([work("a"), say("On.")], workspace) as play:
        await set_goal(play, "Make a and b.")
        goal = await stopped(play)

    assert (goal.status, turns(play)) == ("paused", ["completed"])
    assert goal.octavo_reason is not None
    assert "hook" in goal.octavo_reason
