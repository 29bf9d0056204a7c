"""`octavo exec --goal`: a run of many turns, which ends as its goal does."""

from __future__ import annotations

import shlex
import signal

import pytest

from octavo.trial.scripted import Script, answer, call, say
from tests.faces.running import Place

pytestmark = pytest.mark.anyio

DONE = call("update_goal", status="complete")


def work(name: str) -> object:
    return call("exec_command", cmd=f"touch {name}")


async def test_it_goes_on_until_the_goal_is_reached(place: Place) -> None:
    script: Script = [work("a"), say("a is there."), work("b"), DONE, say("All is there.")]
    done = await place.exec(script, "--goal", "Make a and b.", "--goal-tokens", "1m")

    assert (done.status, done.out) == (0, "All is there.\n"), done.err
    assert (place.work / "b").exists()
    assert done.err.index("a is there.") < done.err.index("tokens: ")
    assert "goal reached · " in done.err
    assert " of 1,000,000 tokens" in done.err


async def test_a_prompt_comes_first(place: Place) -> None:
    script: Script = [say("Hello."), DONE, say("Done.")]
    done = await place.exec(script, "hi", "--goal", "Nothing.", "--json")

    kinds = [event["type"] for event in done.events]
    assert done.status == 0, done.err
    assert (kinds[0], kinds.count("turn.completed"), kinds[-1]) == (
        *("thread.started", 2, "goal.ended"),
    )
    assert done.events[-1]["status"] == "complete"


async def test_a_goal_that_is_out_of_budget_ends_the_run_and_can_be_gone_on_with(
    place: Place,
) -> None:
    first = answer(work("a"), input_tokens=2_000, output_tokens=10)
    done = await place.exec([first, say("b is missing.")], "--goal", "X.", "--goal-tokens", "1k")
    thread_id = done.err.split("octavo exec resume ")[1].split()[0]
    script: Script = [work("b"), DONE, say("All.")]
    again = await place.exec(script, "resume", thread_id, "--goal", "X.", "--goal-tokens", "1m")

    assert (done.status, done.out) == (3, "b is missing.\n"), done.err
    assert "goal out of budget · 2,1" in done.err
    assert (again.status, again.out) == (0, "All.\n"), again.err
    assert "goal reached" in again.err


async def test_a_goal_that_is_blocked_is_no_success(place: Place) -> None:
    script: Script = [call("update_goal", status="blocked"), say("I need the password.")]
    goal = "Log in, it's me."
    done = await place.exec(script, "--goal", goal)

    assert (done.status, done.out) == (1, "I need the password.\n"), done.err
    assert "goal blocked" in done.err
    assert done.err.endswith(f" --goal {shlex.quote(goal)}\n")


async def test_where_no_record_is_kept_nothing_is_said_of_going_on(place: Place) -> None:
    script: Script = [call("update_goal", status="blocked"), say("No.")]
    done = await place.exec(script, "--goal", "Log in.", "--ephemeral")

    assert "goal blocked" in done.err
    assert "Go on" not in done.err


async def test_a_goal_that_is_no_plain_line_is_not_repeated_as_a_command(place: Place) -> None:
    script: Script = [call("update_goal", status="blocked"), say("No.")]
    done = await place.exec(script, "--goal", "Log in.\nThen wait.")

    assert done.err.endswith(" --goal 'THE SAME TEXT'\n")


async def test_a_signal_pauses_it(place: Place) -> None:
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with place.running([wait], "--goal", "Wait.", "--json") as run:
        await run.line('"item.started"')
        run.signal(signal.SIGINT)
        done = await run.ended()

    assert done.status == 130, done.err
    assert (done.kinds()[-1], done.events[-1]["status"]) == ("goal.ended", "paused")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hi", "--goal-tokens", "5"], "--goal-tokens goes with --goal"),
        (["--goal", "X", "--max-time", "5s"], "--max-time limits one turn"),
        (["--goal", "X", "--output-schema", "s.json"], "--output-schema"),
        (["--goal", "X", "--goal-tokens", "many"], "--goal-tokens 'many' is no number"),
        (["--goal", " "], "goal is empty"),
        (["resume", "--last", "--goal", "X", "--max-cost", "1"], "spent before"),
    ],
)
async def test_what_does_not_go_with_it_is_said(words: list[str], said: str, place: Place) -> None:
    done = await place.exec([], *words)

    assert done.status in (1, 2)
    assert said in done.err


async def test_max_cost_is_of_all_its_turns(place: Place) -> None:
    script: Script = [
        answer(call("exec_command", cmd=f"touch {n}"), input_tokens=6_000, output_tokens=10)
        if n % 2 == 0
        else answer(say(f"{n}."), input_tokens=6_000, output_tokens=10)
        for n in range(20)
    ]
    done = await place.exec(script, "--goal", "X.", "--max-tokens", "50k")

    assert done.status == 3, done.err
    assert 4 <= len(done.requests) <= 8
    assert "goal out of budget" in done.err
