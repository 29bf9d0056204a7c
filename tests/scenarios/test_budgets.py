"""What a thread costs, and that it costs no more than it may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.agent.allowed import Allowed
from octavo.agent.journal import Journal
from octavo.agent.purse import Metered, Purse
from octavo.config.settings import PriceConfig, ThreadBudget, TurnBudget
from octavo.model import Completed, Model, Prompt, Provider
from octavo.model.prices import Prices
from octavo.model.providers.responses import Responses
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import BudgetSpent
from octavo.protocol.fold import Thread
from octavo.rpc import RpcError
from octavo.trial import scripted
from octavo.trial.scripted import Received, answer, call, cut, refuse, say
from tests.scenarios.asking import Person
from tests.scenarios.playing import Play, playing
from tests.scenarios.test_reviewer import CLEAN, verdict
from tests.scenarios.test_reviewer import Provider as Reviewed

pytestmark = pytest.mark.anyio

PRICED = "prices.scripted={input=10,output=50}"


def working(
    input_tokens: int, output_tokens: int, *, until: int = 1000
) -> Callable[[Received], Any]:
    """A model that calls `true` again and again, and says so at its end."""

    def step(received: Received) -> Any:
        done = sum(item["type"] == "function_call_output" for item in received.json()["input"])
        part = call("exec_command", cmd="true") if done < until else say("Done.")
        return answer(part, input_tokens=input_tokens, output_tokens=output_tokens)

    return step


async def usage(play: Play) -> m.ThreadUsageResult:
    return await play.client.call(m.THREAD_USAGE, m.ThreadIdParams(play.thread_id))


async def test_tokens_end_the_turn_at_the_request_that_might_be_too_much(workspace: Path) -> None:
    async with playing(working(4000, 1000), workspace) as play:
        turn = await play.turn("go", octavo_budget=m.Budget(max_tokens=20_000))
        found = await usage(play)
        again = await play.turn("go on", octavo_budget=m.Budget(max_tokens=10_000))
        more = await usage(play)

    # Of 20,000 the fourth request could take the last 5,000 and a little more.
    assert (turn.status, found.total.requests) == ("failed", 3)
    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert "budget of the turn (20,000 tokens) is used up: 15,000 tokens" in turn.error.message
    assert found.turn_budget == m.Budget(max_tokens=20_000)
    assert (again.status, more.total.requests) == ("failed", 4)
    assert "budget of tokens, money or time was used up" in str(play.requests()[3]["input"])


async def test_a_request_is_allowed_no_more_output_than_is_left(workspace: Path) -> None:
    async with playing([answer(say("Well"), incomplete="max_output_tokens")], workspace) as play:
        turn = await play.turn("go", octavo_budget=m.Budget(max_tokens=20_000))
        found = await usage(play)

    [body] = play.requests()
    assert 1000 < body["max_output_tokens"] < 20_000
    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert "The answer was ended where the budget of the turn" in turn.error.message
    assert found.total.usage.total_tokens == 110
    assert found.total.estimated_requests == 0


async def test_without_a_budget_nothing_about_it_is_sent(workspace: Path) -> None:
    async with playing([say("Hi.")], workspace) as play:
        await play.turn("go")

    assert "max_output_tokens" not in play.requests()[0]


async def test_money_ends_the_turn_and_is_told(workspace: Path) -> None:
    script = working(1000, 200)  # 0.02 each
    overrides = [PRICED, "budget.turn.max_cost_usd=0.20"]
    async with playing(script, workspace, overrides=overrides) as play:
        turn = await play.turn("go")
        found = await usage(play)

    assert turn.error is not None
    assert "budget of the turn ($0.20) is used up" in turn.error.message
    assert found.total.cost_usd == pytest.approx(0.02 * found.total.requests)
    assert 0.20 - 0.07 < (found.total.cost_usd or 0) <= 0.20
    assert found.turn == found.total == found.by_purpose["turn"]


async def test_a_threads_budget_holds_over_turns_and_after_it_was_opened_again(
    workspace: Path,
) -> None:
    script = working(1000, 200, until=2)
    budget = m.Budget(max_tokens=12_000)
    async with playing(script, workspace) as play:
        first = await play.turn("go", octavo_budget=m.Budget(max_tokens=11_000))
        thread_id, spent = play.thread_id, await usage(play)
    async with playing(working(1000, 200), workspace, start=False) as play:
        await play.resume(thread_id, octavo_budget=budget)
        carried = await usage(play)
        second = await play.turn("go on")
        found = await usage(play)

    assert first.status == "completed"
    assert carried.total == spent.total
    assert carried.total.requests == 3
    assert second.error is not None
    assert "budget of the thread (12,000 tokens)" in second.error.message
    assert found.total.usage.total_tokens <= 12_000
    assert found.thread_budget == budget


@pytest.mark.parametrize("alone", [True, False])
async def test_a_budget_in_money_for_a_model_without_a_price_asks_nothing(
    alone: bool, workspace: Path
) -> None:
    overrides = ["budget.turn.max_cost_usd=1"]
    async with playing(
        [say("x")], workspace, start=False, alone=alone, overrides=overrides
    ) as play:
        if alone:
            with pytest.raises(RpcError, match="is not known") as refused:
                await play.start()
            said = refused.value.message
        else:
            await play.start()
            turn = await play.turn("go")
            assert turn.error is not None
            said = turn.error.message

    assert '[prices."scripted"] input = …' in said
    assert "--max-tokens" in said
    assert play.requests() == []


async def test_a_cost_that_is_not_known_is_not_said_to_be_nothing(workspace: Path) -> None:
    async with playing([say("x")], workspace) as play:
        await play.turn("go")
        found = await usage(play)

    assert found.total.cost_usd is None
    assert (found.total.unpriced_requests, found.total.known_cost_usd) == (1, 0)


async def test_a_damaged_price_table_is_told_and_the_turn_goes_on(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = workspace.parent / "prices.json"
    damaged.write_text("{")
    monkeypatch.setattr("octavo.model.prices.COMPILED", damaged)
    async with playing(working(10, 1, until=2), workspace) as play:
        turn = await play.turn("go")

    assert turn.status == "completed"
    [warned] = [n.message for n in play.seen if isinstance(n, note.Warned)]
    assert f"The price table {damaged} cannot be read" in warned


async def test_what_a_reviewer_costs_is_counted_apart_and_in_the_total(workspace: Path) -> None:
    (workspace / "junk").mkdir()
    provider = Reviewed([{"cmd": CLEAN}], verdict("allow"))
    async with playing(
        provider,
        workspace,
        start=False,
        alone=False,
        answer=Person("decline"),
        allowed=Allowed(approve_for_me=True),
        overrides=[PRICED],
    ) as play:
        await play.start(approval_policy="on-request")
        await play.turn("Clean up junk.")
        found = await usage(play)

    assert {name: one.requests for name, one in found.by_purpose.items()} == {
        "turn": 2,
        "reviewer": 1,
    }
    assert found.by_purpose["reviewer"].usage.input_tokens == 100
    assert found.total.usage.input_tokens == 300
    assert found.total.cost_usd == pytest.approx(3 * (100 * 10 + 10 * 50) / 1e6)
    [*_, last] = [n for n in play.seen if isinstance(n, note.TokenUsageUpdated)]
    assert last.token_usage.total == found.total.usage


async def test_a_reviewer_that_cannot_be_paid_for_ends_the_turn(workspace: Path) -> None:
    (workspace / "junk").mkdir()
    reviewed = Reviewed([{"cmd": CLEAN}], verdict("allow"))

    def provider(received: Received) -> Any:
        return answer(reviewed(received), input_tokens=14_000, output_tokens=1000)

    async with playing(
        provider,
        workspace,
        start=False,
        alone=False,
        answer=Person("decline"),
        allowed=Allowed(approve_for_me=True),
        overrides=["budget.turn.max_tokens=16000"],
    ) as play:
        await play.start(approval_policy="on-request")
        turn = await play.turn("Clean up junk.")
        found = await usage(play)

    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert (workspace / "junk").exists()
    assert play.items(it.DynamicToolCall) == []  # nobody refused the call
    assert (reviewed.reviews, found.total.requests) == ([], 1)


async def test_what_was_cut_off_is_counted_as_an_estimate_and_a_refusal_is_free(
    workspace: Path,
) -> None:
    script = [refuse(503), cut(say("Half of it, and"), after=5), say("All of it.")]
    async with playing(script, workspace) as play:
        await play.turn("go")
        found = await usage(play)

    assert len(play.requests()) == 3
    assert (found.total.requests, found.total.estimated_requests) == (2, 1)
    assert found.total.usage.input_tokens > 100 + 1000  # the prompt of the one that was cut
    assert found.last is not None
    assert found.last.input_tokens == 100


@pytest.mark.parametrize("said", [-5, 0, 10**15, 10**30])
async def test_usage_that_cannot_be_is_not_believed(said: int, workspace: Path) -> None:
    async with playing([answer(say("Hi."), input_tokens=said)], workspace) as play:
        turn = await play.turn("go")
        found = await usage(play)

    assert turn.status == "completed"
    assert found.total.estimated_requests == 1
    assert 1000 < found.total.usage.input_tokens < 100_000


async def test_an_interrupted_answer_is_counted(workspace: Path) -> None:
    async with playing([scripted.stall(say("Half"), after=5)], workspace) as play:
        turn_id = await play.begin("go")
        await play.until(note.AgentMessageDelta)
        await play.client.interrupt(play.thread_id, turn_id)
        await play.ended(turn_id)
        found = await usage(play)

    assert found.turn is not None
    assert (found.turn.requests, found.turn.estimated_requests) == (1, 1)


async def test_time_ends_a_command_and_what_it_wrote_is_known_when_the_thread_goes_on(
    workspace: Path,
) -> None:
    script = [call("exec_command", cmd="echo so far; sleep 100"), say("Back.")]
    async with playing(script, workspace) as play:
        turn = await play.turn("go", octavo_budget=m.Budget(max_time_s=0.7))
        again = await play.turn("go on")

    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert "ended after 0.7 s" in turn.error.message
    [command] = play.items(it.CommandExecution)
    assert (command.status, command.aggregated_output) == ("failed", "so far\n")
    assert again.status == "completed"
    [output] = play.outputs()
    assert "it was ended while it ran" in output
    assert output.endswith("Output:\nso far\n")


async def test_the_output_of_an_interrupted_command_is_known_when_the_thread_goes_on(
    workspace: Path,
) -> None:
    loud = "echo secret-$((40 + 2)); touch on; sleep 100"
    script = [call("exec_command", cmd=loud), say("Ok.")]
    async with playing(script, workspace) as play:
        turn_id = await play.begin("go")
        while not (workspace / "on").exists():
            await anyio.sleep(0.01)
        await play.client.interrupt(play.thread_id, turn_id)
        turn = await play.ended(turn_id)
        await play.turn("and?")

    assert turn.status == "interrupted"
    [output] = play.outputs()
    assert "ended by SIGKILL" in output
    assert output.endswith("secret-42\n")


@pytest.mark.parametrize(
    "budget", [{"maxTokens": 0}, {"maxCostUsd": -1}, {"maxTimeS": 0}, {"maxTokens": 10**12}]
)
async def test_a_budget_that_makes_no_sense_is_refused(
    budget: dict[str, Any], workspace: Path
) -> None:
    async with playing([say("x")], workspace) as play:
        with pytest.raises(RpcError, match="octavoBudget makes no sense"):
            await play.begin("go", octavo_budget=msgspec.convert(budget, m.Budget))


async def test_a_threads_budget_in_money_needs_to_know_what_it_has_cost(workspace: Path) -> None:
    async with playing([say("x")], workspace) as play:
        await play.turn("go")
        thread_id = play.thread_id
    async with playing([say("y")], workspace, start=False, overrides=[PRICED]) as play:
        with pytest.raises(RpcError, match="what 1 of its requests cost is not known"):
            await play.resume(thread_id, octavo_budget=m.Budget(max_cost_usd=5))
        await play.resume(thread_id, octavo_budget=m.Budget(max_tokens=100_000))
        turn = await play.turn("go", octavo_budget=m.Budget(max_cost_usd=5))

    assert turn.status == "completed"


# Side by side.


def _paying(model: Model, max_tokens: int) -> tuple[Purse, Thread, Metered]:
    journal = Journal(Thread(), None)
    prices = Prices({"m": PriceConfig(1, 1)}, free=(), on_trouble=print)
    purse = Purse(journal, lambda: prices, ThreadBudget())
    purse.begin_turn(TurnBudget(max_tokens=max_tokens), "trial", "m")
    return purse, journal.thread, purse.metered(model, "trial", most_output_tokens=2000)


async def test_requests_side_by_side_wait_for_each_other_rather_than_overspend() -> None:
    said = answer(say("Hi."), input_tokens=500, output_tokens=1000, times=100)
    async with scripted.serve([said]) as server:
        provider = Provider("trial", "trial", server.base_url)
        purse, thread, model = _paying(Responses(provider), 8000)
        refused: list[str] = []

        async def ask(n: int) -> None:
            prompt = Prompt("m", [b'{"role":"user","content":"%d"}' % n], b"[]", str(n))
            child = model.counted_as(f"child {n}")
            try:
                async for chunk in child.stream(prompt):
                    if isinstance(chunk, Completed):
                        assert chunk.usage is None
            except BudgetSpent as spent:
                refused.append(str(spent))

        async with anyio.create_task_group() as group:
            for n in range(12):
                group.start_soon(ask, n)

    # Each takes 1,500; one is begun as long as about 1,010 are left.
    assert thread.spent.requests == len(server.requests) == 5
    assert len(refused) == 7
    assert purse.turn.spent.tokens == thread.spent.usage.total_tokens == 7500
    assert all(tally.requests == 1 for tally in thread.spent_on.values())
