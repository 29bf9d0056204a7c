"""A person's own command, and items that a client puts into the history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from octavo.protocol import events as ev
from octavo.protocol import history as h
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol import sessions as s
from octavo.rpc import RpcError
from octavo.store.rollout import Rollout
from octavo.trial.scripted import answer, call, say
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio

WAIT = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")


async def shell(play: Play, command: str, timeout_ms: int | None = None) -> None:
    params = h.ShellCommandParams(play.thread_id, command, timeout_ms)
    await play.client.call(h.SHELL_COMMAND, params)


async def inject(play: Play, *items: dict[str, Any]) -> None:
    await play.client.call(h.INJECT_ITEMS, h.InjectItemsParams(play.thread_id, items))


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def message(text: str, role: str = "user") -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


async def test_it_runs_outside_of_the_cage_in_a_turn_of_its_own_and_the_model_reads_it_then(
    workspace: Path,
) -> None:
    outside = workspace.parent / "outside.txt"
    async with playing([say("I see.")], workspace, sandbox="read-only") as play:
        await shell(play, f"echo hello | tee {outside}; exit 3")
        item: it.CommandExecution = await play.until_item(False, it.CommandExecution)
        ended = (await play.until(note.TurnCompleted)).turn
        before = play.requests()
        await play.turn("And?")
        [request] = play.requests()

    assert before == []
    assert ended.status == "completed"
    assert outside.read_text() == "hello\n"
    outside.unlink()
    assert (item.source, item.status, item.exit_code) == ("userShell", "failed", 3)
    assert item.aggregated_output == "hello\n"
    told, asked = request["input"][-2:]
    assert "Exit code: 3" in told["content"][0]["text"]
    assert told["content"][1]["text"] == "hello\n"
    assert asked["content"][0]["text"] == "And?"
    assert request["input"][0]["role"] == "developer"


async def test_what_it_writes_is_shown_while_it_runs(workspace: Path) -> None:
    async with playing([], workspace) as play:
        await shell(play, "echo first; while [ ! -e go ]; do sleep 0.01; done")
        delta = await play.until(note.CommandOutputDelta)
        (workspace / "go").touch()
        item = await play.until_item(False, it.CommandExecution)

    assert delta.delta == "first\n"
    assert item.status == "completed"


async def test_beside_a_turn_it_is_told_with_the_next_request(workspace: Path) -> None:
    both = answer(WAIT, call("exec_command", cmd="echo two"))
    async with playing([both, say("Done.")], workspace) as play:
        turn_id = await play.begin("go")
        await play.until_item(True, it.CommandExecution)
        await shell(play, "echo mine")
        while (item := await play.until_item(False, it.CommandExecution)).source == "agent":
            pass
        (workspace / "go").touch()
        await play.ended(turn_id)
        _, second = play.requests()

    assert item.aggregated_output == "mine\n"
    kinds = [entry["type"] for entry in second["input"][-5:]]
    assert kinds == [*["function_call"] * 2, *["function_call_output"] * 2, "message"]
    assert second["input"][-1]["content"][1]["text"] == "mine\n"


async def test_an_interrupt_ends_it_and_all_it_started(workspace: Path) -> None:
    async with playing([say("I see.")], workspace) as play:
        await shell(play, "sleep 1000 & echo $! > pid; wait")
        begun = await play.until(note.TurnStarted)
        while not (workspace / "pid").exists() or not (workspace / "pid").read_text():
            await anyio.sleep(0.01)
        await play.client.interrupt(play.thread_id, begun.turn.id)
        ended = await play.ended(begun.turn.id)
        with anyio.fail_after(10):  # it was killed; on a busy machine, dying takes a moment
            while is_alive((workspace / "pid").read_text().strip()):
                await anyio.sleep(0.01)
        await play.turn("And?")
        [request] = play.requests()

    assert ended.status == "interrupted"
    assert "as the turn was interrupted" in str(request["input"])


async def test_one_that_takes_too_long_is_ended(workspace: Path) -> None:
    async with playing([say("I see.")], workspace) as play:
        await shell(play, "sleep 1000", timeout_ms=50)
        item = await play.until_item(False, it.CommandExecution)
        await play.turn("And?")
        [request] = play.requests()

    assert item.status == "failed"
    assert "ended after 0.05 s" in str(request["input"])


async def test_a_turn_waits_for_the_one_before_it(workspace: Path) -> None:
    async with playing([say("I see.")], workspace) as play:
        await shell(play, "while [ ! -e go ]; do sleep 0.01; done; echo done")
        await play.until(note.TurnStarted)
        turn_id = await play.begin("And?")
        (workspace / "go").touch()
        await play.ended(turn_id)
        [request] = play.requests()

    assert request["input"][-2]["content"][1]["text"] == "done\n"


async def test_secrets_are_not_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-0123456789abcdef")
    async with playing([say("I see.")], workspace) as play:
        await shell(play, 'echo "$MY_API_KEY" | rev | rev; echo "${#MY_API_KEY}"')
        await play.until_item(False, it.CommandExecution)
        await play.turn("And?")
        [request] = play.requests()

    assert "sk-0123456789abcdef" not in str(request["input"])
    assert "19\n" in request["input"][-2]["content"][1]["text"]


async def test_it_is_in_the_pages_of_the_thread_and_after_a_restart(workspace: Path) -> None:
    async with playing([WAIT, say("Done.")], workspace) as play:
        await shell(play, "echo alone")
        await play.until(note.TurnCompleted)
        turn_id = await play.begin("go")
        await play.until_item(True, it.CommandExecution)
        await shell(play, "echo beside")
        while (await play.until_item(False, it.CommandExecution)).source == "agent":
            pass
        (workspace / "go").touch()
        await play.ended(turn_id)
        thread_id = play.thread_id
    async with playing([say("I see.")], workspace, start=False) as play:
        listed = await play.client.call(s.ITEMS_LIST, s.ItemsListParams(thread_id))
        await play.resume(thread_id)
        await play.turn("And?")
        [request] = play.requests()

    shown = [one.item for one in listed.data if isinstance(one.item, it.CommandExecution)]
    own = [(one.status, one.aggregated_output) for one in shown if one.source == "userShell"]
    assert own == [("completed", "alone\n"), ("completed", "beside\n")]
    assert "alone\\n" in str(request["input"])
    assert "beside\\n" in str(request["input"])


async def test_items_put_in_are_shown_to_the_model_in_their_place(workspace: Path) -> None:
    done = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "Nothing."}
    async with playing([say("One."), say("Two.")], workspace) as play:
        await inject(play, message("From before."), message("Yes?", "assistant"))
        await play.turn("Go.")
        await inject(play, done, output)
        await play.turn("On.")
        first, second = play.requests()
        with pytest.raises(RpcError, match="already"):
            await inject(play, done, output)

    assert [entry["content"][0]["text"] for entry in first["input"][-3:]] == [
        *("From before.", "Yes?", "Go."),
    ]
    assert first["input"][0]["role"] == "developer"
    assert second["input"][-3:-1] == [done, output]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "reasoning"}, "cannot be put in"),
        ({"type": "message", "role": "boss", "content": []}, "role"),
        ({"type": "message", "role": "user", "content": []}, "content"),
        ({"type": "message", "role": "user", "content": [{"type": "x"}]}, "part"),
        ({"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"}, "no output"),
        ({"type": "function_call_output", "call_id": "c", "output": ""}, "no call"),
    ],
)
async def test_what_no_model_could_be_shown_is_not_put_in(
    item: dict[str, Any], said: str, workspace: Path
) -> None:
    async with playing([], workspace) as play:
        with pytest.raises(RpcError, match=said):
            await inject(play, item)


async def test_a_thread_is_reverted_to_before_a_turn(workspace: Path) -> None:
    script = [say("One."), call("exec_command", cmd="echo 2 > f"), say("Two."), say("Three.")]
    async with playing(script, workspace) as play:
        first = await play.turn("First.")
        second = await play.turn("Second.")
        reverted = await play.client.call(h.REVERT, h.RevertParams(play.thread_id, second.id))
        listed = await play.client.call(s.TURNS_LIST, s.TurnsListParams(play.thread_id))
        items = await play.client.call(s.ITEMS_LIST, s.ItemsListParams(play.thread_id))
        third = await play.turn("Third.")
        read = await play.client.call(s.THREAD_READ, s.ThreadReadParams(play.thread_id, True))
        await play.client.call(
            h.REVERT, h.RevertParams(play.thread_id, third.id, octavo_files=True)
        )
        request = play.requests()[-1]
        await play.client.call(m.REDO, m.RedoParams(play.thread_id))
        again = await play.client.call(s.TURNS_LIST, s.TurnsListParams(play.thread_id))

    assert reverted.thread.turns == ()
    assert (workspace / "f").read_text() == "2\n"
    assert [turn.id for turn in listed.data] == [first.id]
    assert {entry.turn_id for entry in items.data} == {first.id}
    assert "Second." not in str(request["input"])
    assert [turn.id for turn in read.thread.turns] == [first.id, third.id]
    assert [turn.id for turn in again.data] == [third.id, first.id]
    assert any(isinstance(n, note.ThreadReverted) for n in play.seen)


async def test_one_that_a_crash_cut_off_is_told_as_that(workspace: Path) -> None:
    async with playing([say("One.")], workspace) as play:
        await play.turn("first")
        thread_id = play.thread_id
    [log] = (workspace.parent / "octavo-home").rglob("rollout-*.jsonl")
    with Rollout.open(log) as rollout:
        cwd = str(workspace)
        turn = ev.TurnStarted("t", 0, "scripted", "trial", cwd, "workspace-write", "never")
        rollout.append(turn)
        rollout.append(ev.ShellStarted("s", "t", 0, "make world", cwd))
    async with playing([say("I see.")], workspace, start=False) as play:
        resumed = await play.resume(thread_id)
        await play.turn("And?")
        [request] = play.requests()

    told = str(request["input"][-3:])
    assert "make world" in told
    assert "octavo stopped unexpectedly while it ran" in told
    [item] = [i for turn in resumed.thread.turns for i in turn.items if i.id == "s"]
    assert isinstance(item, it.CommandExecution)
    assert item.status == "failed"
