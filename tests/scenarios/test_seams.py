"""Where parts meet that know nothing of each other: hooks, compaction, budgets, skills, git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import anyio
import pytest

from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.trial.scripted import call, say
from tests.context.skills.making import make_skill
from tests.scenarios.hooking import alive, home_of, own, runs, script
from tests.scenarios.playing import playing
from tests.scenarios.test_compaction import SUMMARY, WINDOW, compact, full, is_summing_up, texts

pytestmark = pytest.mark.anyio

BLOCK_ONCE = "test -e stopped && exit 0; touch stopped; echo 'Run the tests.' >&2; exit 2"


async def test_a_stop_hook_does_not_make_work_out_of_a_compaction_on_demand(
    workspace: Path,
) -> None:
    async with playing([say("First."), say(SUMMARY), say("Why am I asked?")], workspace) as play:
        await play.turn("one")
        own(workspace, ("Stop", None, BLOCK_ONCE))
        await compact(play)

    assert [n for n in play.seen if isinstance(n, note.Compacted)]
    assert len(play.requests()) == 2
    assert not (workspace / "stopped").exists()


async def test_a_stop_hook_still_speaks_when_a_turn_ends(workspace: Path) -> None:
    own(workspace, ("Stop", None, BLOCK_ONCE))
    async with playing([say("First."), say("Tested.")], workspace) as play:
        turn = await play.turn("one")

    assert turn.status == "completed"
    assert len(play.requests()) == 2


@pytest.mark.parametrize(
    "event",
    ["SessionStart", "UserPromptSubmit", "PreModelRequest", "PreToolUse", "PostToolUse", "Stop"],
)
async def test_the_time_of_a_turn_ends_the_hook_it_waits_for(workspace: Path, event: str) -> None:
    mark = f"hook-{os.urandom(6).hex()}"
    hangs = script(workspace, f"#!/bin/bash\nexec -a {mark} sleep 1000", "hangs")
    own(workspace, (event, None, hangs))
    steps = [call("exec_command", cmd="true"), say("Done."), say("Done."), say("Done.")]
    async with playing(steps, workspace) as play:
        turn = await play.turn("go", octavo_budget=m.Budget(max_time_s=1.5))
        assert not alive(mark)
        (home_of(workspace) / "hooks.json").unlink()
        again = await play.turn("go on")

    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert again.status == "completed"
    assert [run.status for run in runs(play)] == ["failed"]


async def test_a_budget_that_a_compaction_uses_up_ends_the_turn_and_loses_nothing(
    workspace: Path,
) -> None:
    steps = [
        call("exec_command", cmd="echo one"),
        full(call("exec_command", cmd="echo two")),
        say(SUMMARY),
        say("Done."),
    ]
    async with playing(steps, workspace, overrides=[WINDOW]) as play:
        turn = await play.turn("mend", octavo_budget=m.Budget(max_tokens=100_000))
        assert len(play.requests()) == 2
        again = await play.turn("go on")

    assert turn.error is not None
    assert turn.error.codex_error_info == "sessionBudgetExceeded"
    assert again.status == "completed"
    assert is_summing_up(play.requests()[2])


async def test_a_skill_named_in_a_message_that_a_hook_refuses_is_not_given(
    workspace: Path,
) -> None:
    make_skill(home_of(workspace) / "skills", "tidy", "Tidies.", "TIDY BODY\n")
    own(workspace, ("UserPromptSubmit", None, "grep -q forbidden && exit 2; exit 0"))

    async with playing(
        [call("exec_command", cmd="until test -e go-on; do sleep 0.02; done"), say("Done.")],
        workspace,
    ) as play:
        turn_id = await play.begin("go")
        await play.until_item(True, it.CommandExecution)
        for text in ("forbidden $tidy", "and $tidy it"):
            params = m.TurnSteerParams(play.thread_id, (Text(text),), turn_id)
            await play.client.call(m.TURN_STEER, params)
        (workspace / "go-on").touch()
        await play.ended(turn_id)

    said = texts(play.requests()[-1], "user")
    assert sum("TIDY BODY" in text for text in said) == 1
    assert not any("forbidden" in text for text in said)


async def test_a_command_that_a_hook_turns_into_a_push_is_judged_as_a_push(
    workspace: Path,
) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", workspace], check=True)
    subprocess.run(
        ["git", "-C", str(workspace), "remote", "add", "origin", "https://example.org/a.git"],
        check=True,
    )
    reply = '{"hookSpecificOutput": {"permissionDecision": "allow", "updatedInput": '
    reply += '{"command": "git push origin main"}}}'
    own(workspace, ("PreToolUse", "Bash", f"echo '{reply}'"))
    async with playing([call("exec_command", cmd="git status"), say("Done.")], workspace) as play:
        await play.turn("go")

    [output] = play.outputs()
    assert output.startswith("This would go to example.org:443, which a person has to allow")


async def test_interrupted_hooks_and_compactions_leave_a_thread_that_goes_on(
    workspace: Path,
) -> None:
    mark = f"hook-{os.urandom(6).hex()}"
    hangs = script(
        workspace, f"#!/bin/bash\ntouch {workspace}/up\nexec -a {mark} sleep 1000", "hangs"
    )
    own(workspace, ("PreCompact", None, hangs))
    steps = [
        full(call("exec_command", cmd="echo two")),
        say(SUMMARY),
        say("Done."),
    ]
    async with playing(steps, workspace, overrides=[WINDOW]) as play:
        turn_id = await play.begin("mend")
        with anyio.fail_after(20):
            while not (workspace / "up").exists():
                await anyio.sleep(0.01)
        await play.client.interrupt(play.thread_id, turn_id)
        turn = await play.ended(turn_id)
        assert not alive(mark)
        (home_of(workspace) / "hooks.json").unlink()
        again = await play.turn("go on")

    assert turn.status == "interrupted"
    assert again.status == "completed"
