"""Ops that come at the worst moment: each is done or refused, and none is lost."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from anyio.abc import TaskGroup

from octavo.agent.inbox import Said
from octavo.client import connect
from octavo.context.user_message import encode_user_message
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.asking import APPROVE_COMMAND, APPROVE_FILE_CHANGE
from octavo.protocol.events import Event, ProcessEnded, QuestionAsked, TurnEnded
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.rpc.memory import memory_pair
from octavo.store.reading import read
from octavo.trial.scripted import Received, answer, call, refuse, say, stall, think
from tests.sampling import sample
from tests.scenarios.playing import DEADLINE_S, Play, playing
from tests.scenarios.processes import check_history, stem

pytestmark = pytest.mark.anyio

ROUNDS = sample(full=400, fast=40)


def bodies(play: Play) -> list[bytes]:
    return [request.body for request in play.model.requests if request.number]


def check_requests(play: Play) -> None:
    """Every request is valid and extends the one before."""
    sent = bodies(play)
    for body in sent:
        check_history(body)
    for earlier, later in itertools.pairwise(sent):
        assert later.startswith(stem(earlier))


def check_ends(play: Play) -> None:
    """Every turn that began has ended, once."""
    began = [n.turn.id for n in play.seen if isinstance(n, note.TurnStarted)]
    ended = [n.turn.id for n in play.seen if isinstance(n, note.TurnCompleted)]
    assert began == ended
    assert len(set(ended)) == len(ended)


async def pause(chance: random.Random) -> None:
    """Let others run, a little or a little more."""
    if chance.random() < 0.3:
        await anyio.sleep(chance.random() * 0.02)
    for _ in range(chance.randrange(40)):
        await anyio.lowlevel.checkpoint()


def work(request: Received) -> Any:
    """A call or two, then a message; a new turn begins anew."""
    last = request.json()["input"][-1]
    if last["type"].endswith("_output"):
        return say("Done.")
    return answer(
        think("Hm."),
        say("Both."),
        call("exec_command", cmd="true"),
        call(
            "exec_command",
            cmd="sleep 60" if request.number % 6 == 0 else "echo b",
            yield_time_ms=250,
        ),
    )


async def test_steering_at_any_moment_is_heard_in_its_turn_or_refused(workspace: Path) -> None:
    chance = random.Random(1)
    heard, refused = [], []
    async with playing(lambda _: say("Yes."), workspace) as play:
        for number in range(ROUNDS):
            turn_id = await play.begin("go")
            await pause(chance)
            try:
                await play.client.steer(play.thread_id, turn_id, [Text(f"more {number};")])
            except RpcError:
                refused.append(f"more {number};")
            else:
                heard.append(f"more {number};")
            await play.ended(turn_id)
            if heard and heard[-1] == f"more {number};":
                assert heard[-1].encode() in bodies(play)[-1]
        check_requests(play)
        check_ends(play)
        everything = bodies(play)[-1].decode()

    assert heard
    assert refused
    assert all(everything.count(text) == 1 for text in heard)
    assert not any(text in everything for text in refused)


async def test_an_interrupt_at_any_moment_ends_the_turn_once(workspace: Path) -> None:
    chance = random.Random(2)
    outcomes = set()
    async with playing(work, workspace) as play:
        for number in range(ROUNDS):
            turn_id = await play.begin(f"go {number}")
            await pause(chance)
            if chance.random() < 0.5:
                await anyio.sleep(chance.random() * 0.12)
            for _ in range(chance.choice((1, 1, 2, 3))):
                with suppress(RpcError):
                    await play.client.interrupt(play.thread_id, turn_id)
                await pause(chance)
            turn = await play.ended(turn_id)
            outcomes.add(turn.status)
        check_requests(play)
        check_ends(play)
    assert outcomes == {"interrupted", "completed"}


async def test_what_is_asked_while_a_turn_is_ending_is_a_turn_of_its_own(workspace: Path) -> None:
    chance = random.Random(3)
    own = 0
    async with playing(work, workspace) as play:
        for number in range(ROUNDS):
            first = await play.begin("go")
            await pause(chance)
            if chance.random() < 0.5:
                with suppress(RpcError):  # it has ended already
                    await play.client.interrupt(play.thread_id, first)
                await pause(chance)
            else:  # with nothing between the two
                play.server.agent(play.thread_id).cancel_turn()
            second = await play.begin(f"and then {number};")
            own += first != second
            turn = await play.ended(second)
            if turn.status == "completed":
                assert f"and then {number};".encode() in bodies(play)[-1]
            assert first != second or turn.status == "completed"
        check_requests(play)
        check_ends(play)
    assert own


async def test_what_is_asked_while_a_turn_is_failing_is_a_turn_of_its_own(workspace: Path) -> None:
    script = [
        call("exec_command", cmd="sleep 60", yield_time_ms=250),
        refuse(400),
        say("Yes."),
    ]
    second: list[str] = []
    async with playing(script, workspace) as play:
        agent = play.server.agent(play.thread_id)

        def meanwhile(event: Event) -> None:
            """Ask when the turn has failed and what it left running is being ended."""
            if isinstance(event, ProcessEnded):
                asked = (Text("and then"),)
                said = Said(asked, encode_user_message(asked, cwd=workspace))
                second.append(agent.start_turn(said, agent.choices))

        agent.journal.follow(meanwhile)
        first = await play.begin("go")
        assert (await play.ended(first)).status == "failed"
        assert (await play.ended(second[0])).status == "completed"
        assert b"and then" in bodies(play)[-1]
        check_requests(play)
        check_ends(play)

    assert second != [first]


@pytest.mark.parametrize("after", range(0, 16, 1 if sample(1, 0) else 3))
async def test_an_interrupt_between_any_two_events_of_a_reply(after: int, workspace: Path) -> None:
    reply = stall(think("Hm."), call("exec_command", cmd="sleep 60"), say("x"), after=after)
    async with playing([reply, say("Back.")], workspace) as play:
        turn_id = await play.begin("go")
        received = await play.model.request(1)
        await play.model.until(lambda: received.events_sent >= after)
        await play.client.interrupt(play.thread_id, turn_id)
        with suppress(RpcError):  # it has ended already
            await play.client.interrupt(play.thread_id, turn_id)
        assert (await play.ended(turn_id)).status == "interrupted"
        await play.model.until(lambda: received.closed_at is not None)
        assert (await play.turn("again")).status == "completed"
        check_requests(play)
        check_ends(play)


async def test_a_turn_started_during_a_turn_joins_it(workspace: Path) -> None:
    script = [call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done"), say("Ok.")]
    async with playing(script, workspace) as play:
        first = await play.begin("wait")
        await play.until_item(True, it.CommandExecution)
        second = await play.begin("and be quick")
        (workspace / "go").touch()
        await play.ended(first)

    assert second == first
    assert play.requests()[-1]["input"][-1]["content"][0]["text"] == "and be quick"


Answering = Callable[[str, bytes], Awaitable[Any]]


def deciding(decision: str, asked: list[dict[str, Any]]) -> Answering:
    async def answer_it(method: str, params: bytes) -> Any:
        asked.append({"method": method, **msgspec.json.decode(params)})
        return {"decision": decision}

    return answer_it


async def ask(workspace: Path, script: Any, answering: Answering, then: Any) -> Play:
    """One turn of a thread that may ask; `then` is done with it."""
    async with playing(script, workspace, start=False, alone=False, answer=answering) as play:
        await play.start(approval_policy="on-request")
        await then(play)
        check_requests(play)
        check_ends(play)
        return play


async def one_turn(play: Play) -> None:
    await play.turn("go")


def escalated(cmd: str) -> list[Any]:
    command = call(
        "exec_command",
        cmd=cmd,
        sandbox_permissions="require_escalated",
        justification="May I?",
    )
    return [command, say("Ok.")]


async def test_a_command_that_is_accepted_runs_outside(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    asked: list[dict[str, Any]] = []

    play = await ask(
        workspace, escalated(f"echo x > {outside}"), deciding("accept", asked), one_turn
    )

    assert outside.read_text() == "x\n"
    [question] = asked
    assert question["method"] == APPROVE_COMMAND
    assert question["command"] == f"echo x > {outside}"
    assert question["reason"] == "It is to run outside the sandbox. May I?"
    assert (question["octavoOutside"], question["octavoJustification"]) == (True, "May I?")
    assert "Process exited with code 0" in play.outputs()[-1]


@pytest.mark.parametrize("decision", ["decline", "nonsense"])
async def test_a_command_that_is_declined_is_not_run_and_the_model_is_told(
    workspace: Path, decision: str
) -> None:
    outside = workspace.parent / "outside"

    play = await ask(workspace, escalated(f"touch {outside}"), deciding(decision, []), one_turn)

    assert not outside.exists()
    assert "The user declined to run this outside of the sandbox" in play.outputs()[-1]


async def test_a_question_that_is_cancelled_interrupts_the_turn(workspace: Path) -> None:
    outside = workspace.parent / "outside"

    async def then(play: Play) -> None:
        assert (await play.turn("go")).status == "interrupted"
        assert (await play.turn("again")).status == "completed"

    play = await ask(workspace, escalated(f"touch {outside}"), deciding("cancel", []), then)

    assert not outside.exists()
    assert "the user interrupted the turn before this call started" in play.outputs()[-1]


async def test_a_client_that_cannot_answer_has_declined(workspace: Path) -> None:
    outside = workspace.parent / "outside"

    async def unable(method: str, params: bytes) -> Any:
        raise RpcError(-32601, "I know no such method.")

    play = await ask(workspace, escalated(f"touch {outside}"), unable, one_turn)

    assert not outside.exists()
    assert "declined to run this outside of the sandbox" in play.outputs()[-1]


PATCH = "*** Begin Patch\n*** Add File: {0}\n+new\n*** End Patch\n"


@pytest.mark.parametrize("decision", ["accept", "decline", "cancel"])
async def test_a_patch_outside_of_the_roots_is_asked_for(workspace: Path, decision: str) -> None:
    outside = workspace.parent / "outside.txt"
    asked: list[dict[str, Any]] = []
    script = [call("apply_patch", input=PATCH.format(outside)), say("Ok.")]

    async def then(play: Play) -> None:
        turn = await play.turn("go")
        assert turn.status == ("interrupted" if decision == "cancel" else "completed")

    play = await ask(workspace, script, deciding(decision, asked), then)

    [question] = asked
    assert question["method"] == APPROVE_FILE_CHANGE
    assert question["octavoPaths"] == [str(outside)]
    assert outside.exists() == (decision == "accept")
    [change] = play.items(it.FileChange)
    assert (
        change.status
        == {"accept": "completed", "decline": "declined", "cancel": "failed"}[decision]
    )
    if decision == "decline":
        assert "The user declined this change" in play.outputs()[-1]


async def test_a_question_whose_client_vanished_waits_for_the_next_one(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    asked = anyio.Event()

    async def silent(method: str, params: bytes) -> Any:
        asked.set()
        await anyio.sleep_forever()

    async with (
        playing(escalated(f"touch {outside}"), workspace, start=False, alone=False) as play,
        anyio.create_task_group() as group,
    ):
        thread_id = ""
        async with attached(play, group, silent) as client:
            params = m.ThreadStartParams(cwd=str(workspace), approval_policy="on-request")
            thread_id = (await client.start_thread(params)).thread.id
            await client.start_turn(m.TurnStartParams(thread_id, (Text("go"),)))
            with anyio.fail_after(DEADLINE_S):
                await asked.wait()
        assert not outside.exists()
        async with attached(play, group, deciding("accept", [])) as client:
            await client.resume_thread(m.ThreadResumeParams(thread_id))
            with anyio.fail_after(DEADLINE_S):
                async for notification in client.notifications():
                    if isinstance(notification, note.TurnCompleted):
                        break
        assert notification.turn.status == "completed"
        assert outside.exists()
        group.cancel_scope.cancel()


async def test_a_thread_that_is_closed_while_it_asks_ends_its_turn(workspace: Path) -> None:
    asked = anyio.Event()

    async def silent(method: str, params: bytes) -> Any:
        asked.set()
        await anyio.sleep_forever()

    async with playing(
        escalated("true"), workspace, start=False, alone=False, answer=silent
    ) as play:
        await play.start(approval_policy="on-request")
        await play.begin("go")
        with anyio.fail_after(DEADLINE_S):
            await asked.wait()

    [log] = (workspace.parent / "octavo-home").glob("sessions/*/*/*/*.jsonl")
    events = read(log).events
    assert isinstance(events[-1], TurnEnded)
    assert events[-1].outcome == "interrupted"
    assert len([event for event in events if isinstance(event, QuestionAsked)]) == 1
    async with playing([say("Back.")], workspace, start=False) as again:
        await again.resume(play.thread_id, cwd=str(workspace))
        assert (await again.turn("go on")).status == "completed"
        check_history(bodies(again)[-1])


def attached(play: Play, group: TaskGroup, answering: Answering) -> Any:
    """Another client of the same server."""
    ours, theirs = memory_pair()
    group.start_soon(play.server.connect, theirs)
    return connect(ours, name="other", version="0", answer=answering)
