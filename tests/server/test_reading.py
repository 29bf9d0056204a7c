"""A thread can be read while another process writes it, and who that is is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from octavo.protocol import items as it
from octavo.protocol import sessions as s
from octavo.rpc import RpcError
from octavo.store.lock import Lock, holder
from octavo.trial import scripted
from octavo.trial.scripted import answer, call, say
from tests.scenarios import processes
from tests.scenarios.playing import Play, playing
from tests.scenarios.processes import Place

pytestmark = pytest.mark.anyio


@pytest.fixture
def place() -> Iterator[Place]:
    with processes.place() as made:
        yield made


async def read(play: Play, thread_id: str) -> it.Thread:
    params = s.ThreadReadParams(thread_id, include_turns=True)
    return (await play.client.call(s.THREAD_READ, params)).thread


def words(thread: it.Thread) -> list[str]:
    """What the model said in each turn, and how the turn stands."""
    return [
        f"{turn.status}: "
        + " ".join(item.text for item in turn.items if isinstance(item, it.AgentMessage))
        for turn in thread.turns
    ]


async def test_who_comes_second_can_read_and_is_told_who_writes(place: Place) -> None:
    script = [answer(say("Wait."), call("exec_command", cmd="sleep 60"))]
    async with scripted.serve(script) as model:
        writer = await processes.begin(place, model.base_url, "go")
        await writer.until("item.started", command="sleep 60")
        thread_id = str(writer.thread_id)
        [log] = place.logs()
        there = log.read_bytes()

        async with playing([say("Back.")], place.work, home=place.home, start=False) as play:
            seen = await read(play, thread_id)
            assert seen.octavo_held_by == f"process {writer.process.pid} (octavo exec)"
            assert words(seen) == ["inProgress: Wait."]
            resumed = (await play.resume(thread_id)).thread
            assert resumed.octavo_held_by == seen.octavo_held_by
            assert words(resumed) == ["inProgress: Wait."]
            with pytest.raises(RpcError, match=r"in use by process .* It can be read") as refused:
                await play.turn("go on")
            assert refused.value.data == {"code": "store.busy"}
            assert log.read_bytes() == there

            assert await writer.kill()
            seen = await read(play, thread_id)
            assert seen.octavo_held_by is None
            assert words(seen) == ["interrupted: Wait."]
            assert log.read_bytes() == there
            with pytest.raises(RpcError, match="resume the thread again"):
                await play.turn("go on")

            await play.resume(thread_id, cwd=str(place.work))
            assert (await play.turn("go on")).status == "completed"
            seen = await read(play, thread_id)
            assert seen.octavo_held_by is None
            assert seen.status.type_ == "idle"
            assert words(seen) == ["interrupted: Wait.", "completed: Back."]


async def test_a_thread_that_is_not_there_cannot_be_read(workspace: Path) -> None:
    async with playing([], workspace, start=False) as play:
        with pytest.raises(RpcError, match="There is no thread"):
            await read(play, "0000")


def test_looking_who_holds_a_lock_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert holder(path) is None
    path.write_text('{"pid":1,"command":"octavo exec"}')  # what a dead one leaves
    assert holder(path) is None

    lock = Lock.take(path)
    assert holder(path) is not None
    lock.release()
    assert holder(path) is None


async def test_a_thread_that_is_resumed_comes_with_its_earlier_turns(workspace: Path) -> None:
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with playing([say("One."), wait, say("Two.")], workspace) as play:
        await play.turn("first")
        turn_id = await play.begin("second")
        await play.until_item(True, it.CommandExecution)
        running = (await play.resume(play.thread_id)).thread
        bare = (await play.resume(play.thread_id, exclude_turns=True)).thread
        (workspace / "go").touch()
        await play.ended(turn_id)
        thread_id = play.thread_id
    async with playing([], workspace, start=False) as play:
        again = (await play.resume(thread_id)).thread

    assert words(running) == ["completed: One.", "inProgress: "]
    assert bare.turns == ()
    assert words(again) == ["completed: One.", "completed: Two."]
