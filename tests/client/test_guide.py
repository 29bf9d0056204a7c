"""docs/guide/python.md: its programs run as printed, and print what they should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from octavo.trial import scripted
from octavo.trial.scripted import Script, call, say
from tests.server.programs import OCTAVO

pytestmark = pytest.mark.anyio

GUIDE = (Path(__file__).parents[2] / "docs/guide/python.md").read_text()
FIRST, EVENTS, QUESTIONS, THREADS, HERE = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


async def output(code: str, workspace: Path, script: Script) -> str:
    """What a program of the guide prints, with a scripted model in the settings."""
    home = workspace.parent / "octavo-home"
    home.mkdir(exist_ok=True)
    async with scripted.serve(script) as model:
        (home / "config.toml").write_text(
            'model = "scripted"\nmodel_provider = "trial"\n'
            f'[model_providers.trial]\nname = "trial"\nbase_url = "{model.base_url}"\n'
        )
        with anyio.fail_after(60):
            done = await anyio.run_process(
                [sys.executable, "-c", code],
                cwd=workspace,
                env={
                    **os.environ,
                    "OCTAVO_HOME": str(home),
                    "PATH": f"{OCTAVO.parent}:{os.environ['PATH']}",
                },
                check=False,
            )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout.decode()


async def test_the_first_program_prints_the_answer(workspace: Path) -> None:
    assert await output(FIRST, workspace, [say("A test.", deltas=2)]) == "A test.\n"


async def test_the_program_that_shows_events_shows_them(workspace: Path) -> None:
    (workspace / "notes.txt").write_text("a\nb\n")
    script = [call("exec_command", cmd="wc -l notes.txt"), say("Two lines.", deltas=3)]
    first, said, status = (await output(EVENTS, workspace, script)).splitlines()

    assert first == "$ wc -l notes.txt -> 0"
    assert said == "Two lines."
    assert re.fullmatch(r"completed [0-9a-f-]{36}", status)


async def test_the_program_that_answers_is_asked(workspace: Path) -> None:
    (workspace / "file").write_text("kept")
    subprocess.run(["git", "add", "file"], cwd=workspace, check=True)
    subprocess.run(["git", "commit", "-qm", "one"], cwd=workspace, check=True)
    (workspace / "file").write_text("changed")
    script = [call("exec_command", cmd="git reset --hard"), say("Thrown away.")]
    printed = await output(QUESTIONS, workspace, script)

    assert printed == "May I run git reset --hard?\nThrown away.\n"
    assert (workspace / "file").read_text() == "kept"


async def test_the_program_that_comes_back_finds_its_thread(workspace: Path) -> None:
    printed = await output(THREADS, workspace, [say("I will."), say("7.")])

    assert printed == "numbers Remember the number 7.\n7.\n2 turns\n"


async def test_the_program_without_another_process_prints_the_answer(workspace: Path) -> None:
    assert await output(HERE, workspace, [say("A test.")]) == "A test.\n"


async def test_the_programs_are_typed(tmp_path: Path) -> None:
    for number, code in enumerate((FIRST, EVENTS, QUESTIONS, THREADS, HERE)):
        (tmp_path / f"program_{number}.py").write_text(code)
    done = await anyio.run_process(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "."],
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()
