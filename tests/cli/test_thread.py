"""`octavo thread`, as a person uses it between two runs of `octavo exec`."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import anyio.to_thread
import pytest

from octavo.trial import scripted
from octavo.trial.scripted import answer, call, refuse, say
from tests.cli.running import Shell
from tests.scenarios.test_compaction import SUMMARY

pytestmark = pytest.mark.anyio


class Desk:
    """A shell beside a running model."""

    def __init__(self, shell: Shell, base_url: str) -> None:
        self.shell = shell
        shell.settings(
            'model = "scripted"\nmodel_provider = "trial"\n'
            f'[model_providers.trial]\nname = "trial"\nbase_url = "{base_url}"\n'
            "request_max_retries = 0\n"
        )
        subprocess.run(["git", "init", "-q"], cwd=shell.cwd, check=True)

    async def octavo(self, *words: str) -> subprocess.CompletedProcess[str]:
        return await anyio.to_thread.run_sync(functools.partial(self.shell.octavo, *words))


async def test_a_thread_is_summed_up_and_put_back_between_two_runs(shell: Shell) -> None:
    script = [
        call("exec_command", cmd="seq 1 3000"),
        say("Counted."),
        answer(say(SUMMARY), input_tokens=5000),
        say("Back."),
        say("Whole."),
    ]
    async with scripted.serve(script) as model:
        desk = Desk(shell, model.base_url)
        begun = await desk.octavo("exec", "--json", "count")
        thread_id = json.loads(begun.stdout.splitlines()[0])["thread_id"]

        pinned = await desk.octavo("thread", "pin", "The release is on Friday.")
        listed = await desk.octavo("thread", "pins", "--thread", thread_id)
        compacted = await desk.octavo("thread", "compact")
        await desk.octavo("exec", "resume", "--last", "go on")
        undone = await desk.octavo("thread", "compact", "--undo")
        again = await desk.octavo("thread", "compact", "--undo")
        await desk.octavo("exec", "resume", "--last", "go on")
        unpinned = await desk.octavo("thread", "unpin", pinned.stdout.split()[-1])
        nothing = await desk.octavo("thread", "pins")
        bodies = [request.body for request in model.requests]

    assert listed.stdout.endswith("  The release is on Friday.\n")
    assert compacted.returncode == 0, compacted.stderr
    assert compacted.stdout.startswith("Summed up: the model is shown about ")
    assert b"Half done." in bodies[3]
    assert b"The release is on Friday." in bodies[3]
    assert b"seq 1 3000" not in bodies[3]
    assert undone.stdout.startswith("Undone.")
    assert (again.returncode, again.stdout) == (2, "")
    assert "This thread has no compaction to undo." in again.stderr
    assert b"seq 1 3000" in bodies[4]
    assert b"Half done." not in bodies[4]
    assert (unpinned.stdout, nothing.stdout) == ("Unpinned.\n", "Nothing is pinned.\n")


async def test_a_summary_that_is_refused_is_told(shell: Shell) -> None:
    script = [call("exec_command", cmd="seq 1 3000"), say("Counted."), refuse(401, "bad key")]
    async with scripted.serve(script) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "count")
        done = await desk.octavo("thread", "compact")

    assert (done.returncode, done.stdout) == (1, "")
    assert "The thread was not summed up." in done.stderr
    assert "refuses the key" in done.stderr


async def test_without_a_thread_it_says_so(shell: Shell, tmp_path: Path) -> None:
    done = await anyio.to_thread.run_sync(functools.partial(shell.octavo, "thread", "pins"))

    assert (done.returncode, done.stdout) == (1, "")
    assert f"No thread has begun in {shell.cwd}." in done.stderr


async def test_where_nothing_can_be_summed_up_nothing_else_is_claimed(shell: Shell) -> None:
    async with scripted.serve([say("First."), say("No."), say("No.")]) as model:
        desk = Desk(shell, model.base_url)
        await desk.octavo("exec", "hello")
        done = await desk.octavo("thread", "compact")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("octavo: Nothing was changed. A summary could not be made")
