"""A thread is taken up again where it was left, however it was left."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.reopen import reopen
from octavo.agent.transcript import Transcript
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.events import (
    CallEnded,
    CallStarted,
    Event,
    ItemAdded,
    RunIntent,
    StepEnded,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.ids import new_id
from octavo.rpc import RpcError
from octavo.store.reading import Reading, read
from octavo.store.rollout import Rollout
from octavo.trial import scripted
from octavo.trial.scripted import answer, call, say, think
from tests.scenarios import processes
from tests.scenarios.playing import Play, playing
from tests.scenarios.processes import Place, check_history, completed, input_of, stem

pytestmark = pytest.mark.anyio

WORK = (
    answer(
        think("Look."),
        call("exec_command", cmd="echo a"),
        call("exec_command", cmd="echo b"),
    ),
    answer(say("Now this."), call("exec_command", cmd="echo c")),
    say("Done."),
)


@pytest.fixture
def place() -> Iterator[Place]:
    with processes.place() as made:
        yield made


def bodies(play: Play) -> list[bytes]:
    return [request.body for request in play.model.requests if request.number]


async def work(workspace: Path, *prompts: str) -> tuple[str, list[bytes]]:
    """Make a thread of turns of WORK; return its id and the requests."""
    async with playing([*WORK] * len(prompts), workspace) as play:
        for prompt in prompts:
            assert (await play.turn(prompt)).status == "completed"
        return play.thread_id, bodies(play)


async def go_on(workspace: Path, thread_id: str, **settings: Any) -> tuple[Play, bytes]:
    """Resume a thread for one turn; return what was seen and the request."""
    async with playing([say("Back.")], workspace, start=False, **settings) as play:
        await play.resume(thread_id, cwd=str(workspace))
        turn = await play.turn("go on")
        assert turn.status == "completed", turn
        [body] = bodies(play)
        check_history(body)
        return play, body


def log(workspace: Path) -> Path:
    [path] = (workspace.parent / "octavo-home").glob("sessions/*/*/*/*.jsonl")
    return path


async def test_the_first_request_after_a_resume_extends_the_last_one_before(
    workspace: Path,
) -> None:
    thread_id, before = await work(workspace, "one", "two")

    _, after = await go_on(workspace, thread_id)
    _, again = await go_on(workspace, thread_id)

    assert after.startswith(stem(before[-1]))
    assert again.startswith(stem(after))
    assert log(workspace).with_suffix(".lock").exists() is False


async def test_usage_goes_on_where_it_stopped(workspace: Path) -> None:
    thread_id, before = await work(workspace, "one")

    play, _ = await go_on(workspace, thread_id)

    [usage] = [n.token_usage for n in play.seen if isinstance(n, note.TokenUsageUpdated)]
    assert usage.total.input_tokens == 100 * (len(before) + 1)
    assert usage.octavo_turn is not None
    assert usage.octavo_turn.input_tokens == 100


async def test_a_turn_that_was_interrupted_is_told_and_not_taken_up(place: Place) -> None:
    script = [
        answer(call("exec_command", cmd="echo quick"), call("exec_command", cmd="sleep 60")),
        say("Back."),
    ]
    async with scripted.serve(script) as model:
        run = await processes.begin(place, model.base_url, "go")
        await run.until("item.completed", command="echo quick")
        await run.until("item.started", command="sleep 60")
        run.process.send_signal(signal.SIGINT)
        assert await run.end() == 128 + signal.SIGINT
        assert run.shown[-1]["type"] == "turn.failed"
        assert not place.processes()
        assert run.thread_id is not None
        again = await processes.begin(place, model.base_url, "resume", run.thread_id, "go on")
        assert await again.end() == 0, again.shown
        first, second = (request.body for request in model.requests)

    assert second.startswith(stem(first))
    check_history(second)
    assert b"Stopped by the user, on purpose" in second or b"it was ended while it ran" in second
    assert b"The user interrupted this turn on purpose" in second
    assert completed(again.shown) == [{"type": "agent_message", "text": "Back."}]


async def test_a_command_that_a_kill_cut_off_is_unknown_and_its_output_so_far_is_told(
    place: Place,
) -> None:
    key = "ghp_" + "a1" * 20
    patch = "*** Begin Patch\n*** Add File: new.txt\n+new\n*** End Patch\n"
    slow = f"echo first; seq 1 60000; echo {key}; seq 1 300; touch written; sleep 60"
    script = [
        answer(call("exec_command", cmd=slow), call("apply_patch", input=patch)),
        say("Back."),
        say("Again."),
    ]
    async with scripted.serve(script) as model:
        run = await processes.begin(place, model.base_url, "go")
        await run.until("item.started", type="command_execution")
        async with asyncio.timeout(processes.DEADLINE_S):
            while not (place.work / "written").exists() or not list(place.home.glob("outputs/*/*")):
                await asyncio.sleep(0.01)
        assert await run.kill()
        said: list[Any] = []
        for _ in range(2):
            again = await processes.begin(
                place, model.base_url, "resume", str(run.thread_id), "go on"
            )
            assert await again.end() == 0, again.shown
            said += [item for item in again.completed() if item["type"] == "error"]
        first, second = (request.json()["input"] for request in model.requests[1:])

    cut, patched = (item["output"] for item in first if item["type"] == "function_call_output")
    assert cut.startswith("Unknown whether it was done: octavo stopped unexpectedly")
    [kept] = place.home.glob("outputs/*/*")
    assert f"is in {kept}; it ends with:\n" in cut
    assert "\n299\n300" in cut
    assert key not in cut
    assert "[redacted]" in cut
    assert len(cut) < 5_000
    assert patched.startswith("Not done: ")
    [told] = said
    assert "1 not done, 1 unknown" in told["message"]
    assert second[: len(first)] == first  # told once, and in the same words ever after


async def test_a_torn_last_line_costs_that_event_alone(workspace: Path) -> None:
    thread_id, before = await work(workspace, "one")
    path = log(workspace)
    whole = path.read_bytes().splitlines(keepends=True)
    kept = b"".join(whole[:-4])
    path.write_bytes(kept + whole[-4][: len(whole[-4]) // 2])

    play, after = await go_on(workspace, thread_id)

    assert path.read_bytes().startswith(kept)
    [warning] = [n.message for n in play.seen if isinstance(n, note.Warned)]
    assert "being written when octavo was stopped" in warning
    assert after.startswith(stem(before[-2]))
    _, again = await go_on(workspace, thread_id)
    assert again.startswith(stem(after))


async def test_a_spoiled_line_costs_what_it_held_and_nothing_after_it(workspace: Path) -> None:
    thread_id, _ = await work(workspace, "one", "two", "three")
    path = log(workspace)
    lines = path.read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines) if b'"turn_ended"' in line)
    lines[number] = b"\0" * len(lines[number].rstrip()) + b"\n"
    path.write_bytes(b"".join(lines))

    play, body = await go_on(workspace, thread_id)

    said = [n.message for n in play.seen if isinstance(n, note.Warned)]
    assert any(f":{number + 1} is not an event" in message for message in said)
    text = body.decode()
    assert [word for word in ("one", "two", "three") if f'"text":"{word}"' in text] == [
        "one",
        "two",
        "three",
    ]
    assert text.count("Done.") == 3


@given(data=st.data())
async def test_whatever_lines_are_lost_the_rest_makes_a_history(data: st.DataObject) -> None:
    events = _long(20)
    count = data.draw(st.integers(1, 4))
    lost = {data.draw(st.integers(1, len(events) - 1)) for _ in range(count)}
    left = [event for n, event in enumerate(events) if n not in lost]

    thread, _ = reopen(Reading(left))

    if thread.turn is not None:
        thread.apply(TurnEnded(thread.turn.started.turn_id, 0, "crashed"))
    history = Transcript(thread).items()
    check_history(b'{"input":[' + b",".join(history) + b"]}")
    words = [bytes(event.raw) for event in left if isinstance(event, UserSpoke)]
    assert [item for item in history if item in set(words)] == words
    spoken = [bytes(e.raw) for e in left if isinstance(e, ItemAdded) and e.call_id is None]
    assert [item for item in history if item in set(spoken)] == spoken
    assert [bytes(e.raw) for e in left if isinstance(e, ItemAdded)] == [
        item for item in history if b'"type":"function_call"' in item or item in set(spoken)
    ]


async def test_a_log_of_a_newer_octavo_is_refused_and_left_alone(workspace: Path) -> None:
    thread_id, _ = await work(workspace, "one")
    path = log(workspace)
    path.write_bytes(path.read_bytes().replace(b'{"type":', b'{"format":99,"type":', 1))
    there = path.read_bytes()

    with pytest.raises(BaseExceptionGroup) as failure:
        await go_on(workspace, thread_id)

    assert failure.group_contains(RpcError, match="written by a newer octavo", depth=None)
    assert path.read_bytes() == there


async def test_a_thread_in_use_is_refused_by_the_name_of_who_uses_it(place: Place) -> None:
    script = [call("exec_command", cmd="sleep 60"), say("Back.")]
    async with scripted.serve(script) as model:
        holder = await processes.begin(place, model.base_url, "go")
        await holder.until("item.started", command="sleep 60")
        assert holder.thread_id is not None
        words = ("resume", holder.thread_id, "go on")
        second = await processes.begin(place, model.base_url, *words)
        assert await second.end() == 1
        [failed] = second.shown
        assert f"in use by process {holder.process.pid} (octavo exec)" in failed["error"]["message"]
        assert await holder.kill()
        third = await processes.begin(place, model.base_url, *words)
        assert await third.end() == 0, third.shown


async def test_what_a_dead_holder_left_does_not_lock(workspace: Path) -> None:
    thread_id, _ = await work(workspace, "one")
    log(workspace).with_suffix(".lock").write_text('{"pid":1,"command":"octavo exec"}')

    await go_on(workspace, thread_id)


async def test_the_model_is_the_one_asked_for_or_else_the_threads(place: Place) -> None:
    async with scripted.serve(lambda _: say("Yes.")) as model:
        base_url = model.base_url
        first = await processes.begin(place, base_url, "-m", "alpha", "one", model=None)
        assert await first.end() == 0, first.shown
        assert first.thread_id is not None
        for words in ((), ("-m", "beta"), ()):
            resumed = ("resume", first.thread_id, "more", *words)
            run = await processes.begin(place, base_url, *resumed, model=None)
            assert await run.end() == 0, run.shown

    assert [request.json()["model"] for request in model.requests] == [
        "alpha",
        "alpha",
        "beta",
        "beta",
    ]


async def test_a_thread_goes_on_in_another_folder_and_says_so_once(workspace: Path) -> None:
    thread_id, before = await work(workspace, "one")
    elsewhere = workspace.parent / "elsewhere"
    elsewhere.mkdir()
    home = workspace.parent / "octavo-home"

    script = [call("exec_command", cmd="pwd"), say("There.")]
    async with playing(script, elsewhere, home=home, start=False) as play:
        await play.resume(thread_id, cwd=str(elsewhere))
        await play.turn("go on")
        first, second = bodies(play)

    assert first.startswith(stem(before[-1]))
    new = msgspec.json.decode(b"[" + input_of(first)[len(input_of(before[-1])) + 1 :] + b"]")
    told = [item for item in new if "Update:" in str(item)]
    assert str(elsewhere) in str(told)
    assert str(elsewhere) in play.outputs()[-1]
    assert second.startswith(stem(first))


async def test_instructions_that_changed_are_sent_once_more_at_the_end(workspace: Path) -> None:
    (workspace / "AGENTS.md").write_text("Use tabs.")
    thread_id, before = await work(workspace, "one")
    (workspace / "AGENTS.md").write_text("Use spaces.")

    _, after = await go_on(workspace, thread_id)
    _, again = await go_on(workspace, thread_id)

    assert after.startswith(stem(before[-1]))
    assert again.startswith(stem(after))
    assert after.count(b"Use tabs.") == 1
    assert after.count(b"Use spaces.") == again.count(b"Use spaces.") == 1
    assert b"this replaces what you were told earlier about the AGENTS.md instructions" in after


async def test_a_command_that_ran_when_octavo_died_is_not_said_to_run(workspace: Path) -> None:
    """Its turn was over; only the process, which it had left running, had not ended."""
    script = [call("exec_command", cmd="sleep 60", yield_time_ms=250), say("It runs.")]
    async with playing(script, workspace) as play:
        await play.turn("go")
        [running] = [event for event in read(log(workspace)).events if _leaves_running(event)]
        there = log(workspace).read_bytes()
    log(workspace).write_bytes(there)  # as if the process had died here

    async with playing([_poll(running), say("Gone.")], workspace, start=False) as play:
        await play.resume(play_id(workspace))
        await play.turn("go on")

    assert "There is no session" in play.outputs()[-1]
    assert not [item for item in play.items(it.CommandExecution) if item.status == "inProgress"]


async def test_a_thread_of_20_000_items_is_resumed_whole(workspace: Path) -> None:
    home = workspace.parent / "octavo-home"
    events = _long(20_000 // 20, cwd=str(workspace))
    first = events[0]
    assert isinstance(first, ThreadStarted)
    with Rollout.create(home, first.thread_id, first.at_ms) as rollout:
        for event in events:
            rollout.append(event)

    roomy = ["model_context_window=10_000_000"]
    _, body = await go_on(workspace, first.thread_id, overrides=roomy)

    thread, warnings = reopen(Reading(events))
    assert warnings == []
    assert len(thread.history) >= 20_000
    assert input_of(body).startswith(b",".join(Transcript(thread).items()))


def play_id(workspace: Path) -> str:
    return log(workspace).stem[-36:]


def _leaves_running(event: Event) -> bool:
    return isinstance(event, CallEnded) and event.facts is not None and event.facts.running


def _poll(event: Event) -> Any:
    assert isinstance(event, CallEnded)
    assert event.facts is not None
    return call("write_stdin", session_id=event.facts.session_id, yield_time_ms=250)


@functools.cache
def _long(turns: int, cwd: str = "/") -> list[Event]:
    """The events of a thread of `turns` turns, 20 items each."""
    chance = random.Random(turns)
    numbers = itertools.count()
    events: list[Event] = [
        ThreadStarted(new_id(), cwd, 1_790_000_000_000, "0.1.0", "scripted", "trial")
    ]
    for _ in range(turns):
        turn_id = f"turn-{next(numbers)}"
        begun = TurnStarted(turn_id, 0, "scripted", "trial", cwd, "workspace-write", "never")
        events += [begun, UserSpoke(turn_id, f"u{next(numbers)}", 0, _message("user", numbers))]
        for _ in range(6):
            calls = [f"call_{next(numbers)}" for _ in range(chance.randint(0, 2))]
            said = _message("assistant", numbers)
            events.append(ItemAdded(turn_id, f"m{next(numbers)}", "message", 0, said))
            for call_id in calls:
                raw = _raw(
                    type="function_call", call_id=call_id, name="exec_command", arguments="{}"
                )
                events.append(
                    ItemAdded(turn_id, call_id, "function_call", 0, raw, call_id, "exec_command")
                )
                events.append(CallStarted(turn_id, call_id, 0, RunIntent("true", cwd)))
            ended = [
                CallEnded(turn_id, call_id, 0, _raw(type="function_call_output", call_id=call_id))
                for call_id in calls
            ]
            chance.shuffle(ended)
            split = chance.randint(0, len(ended))
            events += [*ended[:split], StepEnded(turn_id, 0), *ended[split:]]
        for _ in range(8):
            said = _message("assistant", numbers)
            events.append(ItemAdded(turn_id, f"m{next(numbers)}", "message", 0, said))
        events += [StepEnded(turn_id, 0), TurnEnded(turn_id, 0, "completed")]
    return events


def _message(role: str, numbers: Iterator[int]) -> msgspec.Raw:
    text = f"{role} says {next(numbers)}"
    kind = "input_text" if role == "user" else "output_text"
    return _raw(type="message", role=role, content=[{"type": kind, "text": text}])


def _raw(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))
