"""A turn that changes what runs later says so before it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.protocol import notifications as note
from octavo.trial.scripted import call, say
from tests.scenarios.playing import Play, playing

pytestmark = pytest.mark.anyio


def told(play: Play) -> list[str]:
    return [
        n.message
        for n in play.seen
        if isinstance(n, note.Warned) and n.message.startswith("This turn changed")
    ]


async def test_changed_files_that_run_later_are_named_once_before_the_turn_ends(
    workspace: Path,
) -> None:
    (workspace / "Makefile").write_text("all:\n")
    (workspace / "setup.py").write_text("")
    (workspace / ".husky").mkdir()
    (workspace / ".husky/pre-commit").write_text("true\n")
    script = [
        call("exec_command", cmd="echo x >> Makefile; echo y >> .husky/pre-commit; touch .npmrc a"),
        say("Done."),
        call("exec_command", cmd="cat Makefile"),
        say("Read."),
    ]
    async with playing(script, workspace) as play:
        await play.turn("change them")
        assert told(play) == [
            "This turn changed .npmrc, Makefile, .husky/pre-commit, which run or configure "
            "programs later; look at them before you run anything."
        ]
        await play.turn("read them")
        assert len(told(play)) == 1


async def test_a_turn_that_failed_says_it_too(workspace: Path) -> None:
    script = [call("exec_command", cmd="echo x > conftest.py")]
    async with playing(script, workspace, overrides=("step_limit=1",)) as play:
        await play.turn("change it")

    assert len(told(play)) == 1


async def test_other_files_are_not_mentioned(workspace: Path) -> None:
    (workspace / "package.json").write_text("{}")
    script = [call("exec_command", cmd="echo x > a.py; cat package.json"), say("Done.")]
    async with playing(script, workspace) as play:
        await play.turn("change it")

    assert not told(play)
