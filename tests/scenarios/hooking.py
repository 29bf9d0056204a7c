"""Threads with hooks: real scripts, where a person would put them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from octavo.config.consent import accept
from octavo.config.hook_files import project_items
from octavo.config.load import load
from octavo.config.trust import set_trust
from octavo.protocol import notifications as note
from octavo.protocol.hooks import HookRun
from tests.scenarios.playing import Play


def home_of(workspace: Path) -> Path:
    """Octavo's own directory in the tests of a workspace."""
    home = workspace.parent / "octavo-home"
    home.mkdir(exist_ok=True)
    return home


def script(workspace: Path, text: str, name: str = "hook.sh") -> str:
    """Write a hook's script beside octavo's settings, where no command may write."""
    file = home_of(workspace) / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def hooks_file(*entries: tuple[str, str | None, Any]) -> str:
    """What `hooks.json` says for hooks given as event, matcher and command, or more of it."""
    events: dict[str, list[Any]] = {}
    for event, matcher, said in entries:
        entry = {"type": "command", "command": said} if isinstance(said, str) else said
        group: dict[str, Any] = {"hooks": [entry]}
        if matcher is not None:
            group["matcher"] = matcher
        events.setdefault(event, []).append(group)
    return json.dumps({"hooks": events})


def own(workspace: Path, *entries: tuple[str, str | None, Any]) -> None:
    """Be a person with hooks of their own."""
    (home_of(workspace) / "hooks.json").write_text(hooks_file(*entries))


def theirs(workspace: Path, *entries: tuple[str, str | None, Any]) -> Path:
    """Be a repository that brings hooks."""
    file = workspace / ".octavo" / "hooks.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(hooks_file(*entries))
    return file


def agree(workspace: Path) -> None:
    """Trust the repository, and agree to the hooks that it has now."""
    home = home_of(workspace)
    set_trust(home, workspace, "trusted")
    env = {**os.environ, "OCTAVO_HOME": str(home)}
    accept(home, project_items(load(cwd=workspace, env=env), workspace))


def runs(play: Play, status: str | None = None) -> list[HookRun]:
    """The hooks that have run so far."""
    done = [n.run for n in play.seen if isinstance(n, note.HookCompleted)]
    return [run for run in done if status is None or run.status == status]


def errors(play: Play) -> list[str]:
    """What failed hooks were said to have done."""
    return [e.text for run in runs(play) for e in run.entries if e.kind == "error"]


def warnings(play: Play) -> list[str]:
    return [n.message for n in play.seen if isinstance(n, note.Warned)]


def texts(play: Play, request: int = -1) -> list[str]:
    """The texts of the user's messages that a request carries."""
    return [
        part["text"]
        for item in play.requests()[request]["input"]
        if item.get("role") == "user"
        for part in item["content"]
    ]


def alive(pattern: str) -> bool:
    """Whether a process with this in its command line is there."""
    return (
        subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).returncode == 0
    )
