"""`notify`: the person's own program, called when a turn is complete, and never waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from octavo.agent.notify import Notifier, TurnComplete
from octavo.config.trust import set_trust
from octavo.protocol import notifications as note
from octavo.trial.scripted import refuse, say
from tests.scenarios.hooking import alive, home_of, script, warnings
from tests.scenarios.playing import playing

pytestmark = pytest.mark.anyio


async def told(file: Path) -> dict[str, Any]:
    """Wait for what a program wrote."""
    with anyio.fail_after(30):
        while not file.exists() or not file.read_text().endswith("\n"):
            await anyio.sleep(0.01)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def program(workspace: Path, text: str) -> str:
    return json.dumps([script(workspace, text, "notify.sh"), "an argument"])


async def test_the_program_gets_what_codex_gives_it(workspace: Path) -> None:
    file = workspace.parent / "told"
    notify = program(workspace, f'echo "$2" > {file}')
    async with playing([say("It is done.")], workspace, overrides=(f"notify={notify}",)) as play:
        await play.turn("Do it.")
        found = await told(file)

    assert found == {
        "type": "agent-turn-complete",
        "thread-id": play.thread_id,
        "turn-id": play.seen[-1].turn.id,  # type: ignore[union-attr]  # the turn's end
        "cwd": str(workspace),
        "client": "octavo-exec",
        "input-messages": ["Do it."],
        "last-assistant-message": "It is done.",
    }


async def test_a_program_that_hangs_delays_nothing_and_ends_with_all_it_started(
    workspace: Path,
) -> None:
    mark = f"notify-{os.urandom(6).hex()}"
    up = workspace.parent / "up"
    hangs = script(
        workspace, f"#!/bin/bash\n(exec -a {mark} sleep 1000) & touch {up}; wait", "hangs"
    )
    notifier = Notifier([hangs], os.environ, workspace, timeout_s=1)

    assert notifier.notify(TurnComplete("t", "u", "/", "c", [], None)) is None

    with anyio.fail_after(30):
        while not up.exists() or alive(mark):
            await anyio.sleep(0.02)


async def test_a_turn_does_not_wait_for_its_program(workspace: Path) -> None:
    up = workspace.parent / "up"
    notify = program(workspace, f"until test -e {up}; do sleep 0.01; done")
    async with playing([say("Done.")] * 2, workspace, overrides=(f"notify={notify}",)) as play:
        turns = [await play.turn("one"), await play.turn("two")]
    up.touch()

    assert [turn.status for turn in turns] == ["completed", "completed"]


async def test_a_program_that_is_not_there_is_said(workspace: Path) -> None:
    async with playing(
        [say("Done.")], workspace, overrides=('notify=["/nowhere/at/all"]',)
    ) as play:
        turn = await play.turn("go")
        warned: note.Warned = await play.until(note.Warned)

    assert turn.status == "completed"
    assert warned.message == (
        "The program of `notify`, /nowhere/at/all, is not there or cannot be executed."
    )


async def test_it_is_not_called_for_a_turn_that_failed(workspace: Path) -> None:
    file = workspace.parent / "told"
    notify = program(workspace, f'echo "$2" >> {file}')
    overrides = (f"notify={notify}",)
    async with playing([refuse(400), say("Done.")], workspace, overrides=overrides) as play:
        failed = await play.turn("one")
        await play.turn("two")
        found = await told(file)

    assert failed.status == "failed"
    assert found["input-messages"] == ["two"]


async def test_a_repository_cannot_set_it(workspace: Path) -> None:
    file = workspace / ".octavo" / "config.toml"
    file.parent.mkdir()
    file.write_text(f"notify = {program(workspace, f'touch {workspace}/ran')}\n")
    set_trust(home_of(workspace), workspace, "trusted")
    async with playing([say("Done.")], workspace) as play:
        await play.turn("go")
        [agent] = play.server.threads.values()

    assert any("notify is ignored" in text for text in warnings(play))
    assert agent.wiring.loaded.settings.notify == ()


async def test_a_long_answer_fits_into_the_argument(workspace: Path) -> None:
    file = workspace.parent / "told"
    notify = program(workspace, f'echo "$2" > {file}')
    async with playing([say("y" * 300_000)], workspace, overrides=(f"notify={notify}",)) as play:
        await play.turn("x" * 300_000)
        found = await told(file)

    assert found["last-assistant-message"] == "y" * 8000
    assert found["input-messages"] == ["x" * 8000]


async def test_nothing_that_the_model_wrote_is_taken_for_the_program(workspace: Path) -> None:
    """Its folder of programs comes first, as that of an active virtual environment does."""
    own, ran = workspace.parent / "bin", workspace.parent / "ran"
    for folder, text in ((own, f"pwd > {ran}"), (workspace / "bin", f"echo model > {ran}")):
        folder.mkdir()
        (folder / "tell-me").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "tell-me").chmod(0o755)
    env = {"PATH": f"{workspace / 'bin'}:{own}:/usr/bin:/bin"}
    notifier = Notifier(["tell-me"], env, home_of(workspace))

    assert notifier.notify(TurnComplete("t", "u", "/", "c", [], None), [workspace]) is None
    with anyio.fail_after(30):
        while not ran.exists() or not ran.read_text().endswith("\n"):
            await anyio.sleep(0.01)

    assert ran.read_text() == f"{home_of(workspace)}\n"


async def test_names_and_texts_that_are_no_unicode_are_told_as_well_as_they_can(
    workspace: Path,
) -> None:
    file = workspace.parent / "told"
    notifier = Notifier(
        [script(workspace, f'echo "$1" > {file}', "notify.sh")], os.environ, workspace
    )
    odd = TurnComplete("t", "u", "/w\udcff", "c", ["say \ud83d", "two"], "\udcff")

    assert notifier.notify(odd) is None

    found = await told(file)
    assert (found["cwd"], found["input-messages"]) == ("/w?", ["say ?", "two"])
