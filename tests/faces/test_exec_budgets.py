"""`octavo exec` says what a run took, and ends it where it was told to."""

from __future__ import annotations

import signal
from typing import Any

import anyio
import pytest

from octavo.trial.scripted import Received, answer, call, say, stall
from tests.faces.running import Place

pytestmark = pytest.mark.anyio

PRICED = ("-c", "prices.scripted={input=10,cached_input=1,output=50}")


def working(received: Received) -> Any:
    return answer(call("exec_command", cmd="true"), input_tokens=4000, output_tokens=1000)


async def test_the_last_line_says_the_tokens_and_what_they_cost(place: Place) -> None:
    said = answer(
        say("Hi."), input_tokens=2000, cached_tokens=1000, output_tokens=100, reasoning_tokens=40
    )
    done = await place.exec([said], *PRICED, "hi")

    last = done.err.strip().splitlines()[-1]
    assert last.startswith("tokens: 2000 in (1000 cached), 100 out (40 reasoning) · $0.0160 · ")


async def test_a_cost_that_is_not_known_is_not_said(place: Place) -> None:
    done = await place.exec([say("Hi.")], "hi")

    assert "tokens: 100 in (0 cached), 10 out · " in done.err
    assert "$" not in done.err.strip().splitlines()[-1]


async def test_tokens_that_are_used_up_end_with_3_and_say_how_to_go_on(place: Place) -> None:
    done = await place.exec(working, "--max-tokens", "20k", "go")

    assert done.status == 3
    assert len(done.requests) == 3
    assert "stopped. The budget of the turn (20,000 tokens) is used up: 15,000 tokens" in done.err
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("Go on: octavo exec resume ")
    assert last.endswith(" --max-tokens N PROMPT")
    thread_id = last.split()[5]
    again = await place.exec([say("Ok.")], "resume", thread_id, "--max-tokens", "20k", "go on")
    assert (again.status, again.out) == (0, "Ok.\n")


async def test_programs_are_told_what_it_cost(place: Place) -> None:
    done = await place.exec([say("Hi.")], "--json", *PRICED, "hi")
    over = await place.exec(working, "--json", *PRICED, "--max-cost", "0.20", "hi")

    end = done.events[-1]
    assert end["type"] == "turn.completed"
    assert (end["cost_usd"], end["turn_cost_usd"]) == (0.0015, 0.0015)
    assert over.status == 3
    end = over.events[-1]
    assert end["type"] == "turn.failed"
    assert "budget of the turn ($0.20) is used up: $0.18 was spent" in end["error"]["message"]
    assert end["usage"]["input_tokens"] == 8000


async def test_a_run_that_cannot_be_priced_does_not_begin(place: Place) -> None:
    done = await place.exec([say("Hi.")], "--max-cost", "1", "hi")

    assert (done.status, done.requests) == (2, [])
    assert "what 'scripted' costs at the provider 'trial' is not known" in done.err


async def test_time_that_is_over_ends_with_3_and_leaves_nothing_running(place: Place) -> None:
    script = [call("exec_command", cmd="echo begun; sleep 100")]
    done = await place.exec(script, "--json", "--max-time", "0.8s", "go")

    assert done.status == 3
    assert "ended after 0.8 s" in done.events[-1]["error"]["message"]
    [command] = done.items("command_execution")
    assert command["aggregated_output"] == "begun\n"


async def test_a_flag_that_makes_no_sense_is_a_mistake_of_usage(place: Place) -> None:
    done = await place.exec([say("Hi.")], "--max-time", "soon", "hi")

    assert (done.status, done.requests) == (2, [])
    assert "Write it as 90s, 10m or 1h30m." in done.err


async def test_a_misspelt_budget_is_an_error_and_not_no_limit(place: Place) -> None:
    place.settings("[budget.turn]\nmax_costs_usd = 1\n")
    done = await place.exec([say("Hi.")], "hi")

    assert (done.status, done.requests) == (2, [])
    assert "max_costs_usd" in done.err
    assert "max_cost_usd" in done.err


async def test_what_was_counted_survives_a_kill(place: Place) -> None:
    script = [
        answer(call("exec_command", cmd="true"), input_tokens=700, output_tokens=7),
        stall(say("Half"), after=4),
    ]
    async with place.running(script, "--json", "go") as run:
        with anyio.fail_after(30):
            while len(run.model.requests) < 2:
                await anyio.sleep(0.01)
        run.signal(signal.SIGKILL)
        await run.ended()
    done = await place.exec([say("Ok.")], "--json", "resume", "--last", "go on")

    assert done.events[-1]["usage"]["input_tokens"] == 700 + 100
    assert done.events[-1]["turn_usage"]["input_tokens"] == 100
