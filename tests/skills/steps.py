"""What a bundled skill's text tells a model to run, and a scripted model that runs it.

The commands of a test come out of the SKILL.md itself, so text and test cannot drift apart: what is
looked for and is no longer there fails, and so does a command that no test of the skill runs.

    steps = Steps("bisect")
    script = follow(steps("find_bad_commit", ref="v1", command="make test"), ends="Found.")
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from octavo.context.skills.roots import BUNDLED
from octavo.trial.scripted import Received, call, say

Command = str | dict[str, Any] | Callable[[list[str]], str]
"""A command, the arguments of a call, or what makes a command of the outputs so far."""


class Steps:
    """The commands in the fences of a skill, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = BUNDLED / name
        text = (self.folder / "SKILL.md").read_text()
        fences = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        self.lines = [line for fence in fences for line in fence.splitlines()]
        self._run: set[str] = set()

    def __call__(self, words: str, **values: str) -> str:
        """Return the command that is `words`, or the only one that has them, filled in."""
        [line] = [line for line in self.lines if line == words] or [
            line for line in self.lines if words in line
        ]
        self._run.add(line)
        known = {"skill": str(self.folder), **{k.replace("_", "-"): v for k, v in values.items()}}
        return re.sub(r"<([a-z][a-z-]*)>", lambda match: known[match[1]], line)

    @property
    def not_run(self) -> list[str]:
        """The commands that were not asked for."""
        return [line for line in self.lines if line not in self._run]


def follow(*commands: Command, ends: str | Callable[[list[str]], str] = "Done.") -> Any:
    """A script of the model: one command after the other, then its report."""

    def script(received: Received) -> Any:
        outputs = [
            str(item["output"])
            for item in received.json()["input"]
            if item["type"].endswith("_call_output")
        ]
        if len(outputs) >= len(commands):
            return say(ends if isinstance(ends, str) else ends(outputs))
        command = commands[len(outputs)]
        if isinstance(command, dict):
            return call("exec_command", login=False, **command)
        cmd = command if isinstance(command, str) else command(outputs)
        return call("exec_command", login=False, cmd=cmd, yield_time_ms=30_000)

    return script


def git(where: Path, *words: str) -> str:
    """Run git, as the person whose repository it is."""
    done = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(where: Path, message: str, files: dict[str, str]) -> str:
    """Write files and commit them; return the commit."""
    for name, text in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(where, "add", "-A")
    git(where, "commit", "-q", "--allow-empty", "-m", message)
    return git(where, "rev-parse", "HEAD")


def run_script(
    skill: str, script: str, *words: str, cwd: Path, stdin: bytes = b"", **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run a script of a skill as it is, outside of any cage."""
    argv: Sequence[str] = [sys.executable, str(BUNDLED / skill / "scripts" / script), *words]
    done = subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, timeout=60, **more)
    out, err = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(argv, done.returncode, out, err)
