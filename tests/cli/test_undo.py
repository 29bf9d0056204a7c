"""`octavo undo`, as a person uses it between two runs of `octavo exec`."""

from __future__ import annotations

import pytest

from octavo.trial import scripted
from octavo.trial.scripted import call, say
from tests.cli.running import Shell
from tests.cli.test_thread import Desk

pytestmark = pytest.mark.anyio


def write(name: str) -> object:
    return call("exec_command", cmd=f"echo x > {name}")


async def test_turns_are_listed_as_they_were_said_and_named_by_what_is_listed(shell: Shell) -> None:
    async with scripted.serve([write("a"), say("One."), write("b"), say("Two.")]) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "write a\nif 1 < 2\x1b[2J" + " and more" * 20)
        await desk.octavo("exec", "resume", "--last", "write b")
        listed = (await desk.octavo("undo", "--list")).stdout.splitlines()
        done = await desk.octavo("undo", listed[0].split()[0])

    assert "write a if 1 < 2⟨U+001B⟩[2J and more" in listed[0]
    assert max(map(len, listed)) <= 120
    assert done.stdout.startswith("2 turns are undone. ")
    assert not list(shell.cwd.glob("[ab]"))


async def test_it_says_what_was_undone_and_when_there_is_nothing_left(shell: Shell) -> None:
    async with scripted.serve([write("a"), say("One.")]) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "write a")
        files = await desk.octavo("undo", "--files")
        await desk.octavo("undo", "--redo")
        said = await desk.octavo("undo", "--conversation")
        nothing = await desk.octavo("undo")

    assert files.stdout.startswith("Files are as they were before; the conversation stays. ")
    assert said.stdout.startswith("The last turn is undone; files stay as they are. ")
    assert "There is no turn to undo. `octavo undo --redo` takes the last undo back." in (
        nothing.stderr
    )
