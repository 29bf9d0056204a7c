"""The first run of all, when nothing of octavo's own is there yet."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from octavo.trial import scripted
from octavo.trial.scripted import call, say
from tests.cli.running import Shell


@pytest.mark.anyio
async def test_commands_of_the_very_first_run_do_not_see_what_files_were(workspace: Path) -> None:
    shell = Shell(workspace)
    subprocess.run(["git", "init", "-q", str(shell.cwd)], check=True)
    look = call("exec_command", cmd=f"ls -A {shell.home}/snapshots && echo seen")
    script = [call("exec_command", cmd="touch made"), look, say("Done.")]
    async with scripted.serve(script) as model:
        provider = f'{{name="t",base_url="{model.base_url}"}}'
        words = ["exec", "-c", f"model_providers.t={provider}", "-c", 'model_provider="t"']
        run = functools.partial(shell.octavo, *words, "-m", "gpt-5", "go")
        done = await anyio.to_thread.run_sync(run)
        items = json.loads(model.requests[-1].body)["input"]

    assert done.returncode == 0, done.stderr
    assert (shell.home / "snapshots").exists()
    [_, seen] = [item["output"] for item in items if item["type"] == "function_call_output"]
    assert "Permission denied" in seen
