"""Which hooks run, shown on the command line; and what a person agrees to."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import Shell


@pytest.fixture
def project(shell: Shell) -> Path:
    """The repository in which the shell works, with a hook and its script."""
    subprocess.run(["git", "init", "-q", str(shell.cwd)], check=True)
    folder = shell.cwd / ".octavo"
    (folder / "hooks").mkdir(parents=True)
    (folder / "hooks" / "check.py").write_text("import sys\n")
    command = 'python3 "$CLAUDE_PROJECT_DIR"/.octavo/hooks/check.py --all'
    entry = {"type": "command", "command": command, "timeout": 5}
    hooks = {"hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [entry]}]}}
    (folder / "hooks.json").write_text(json.dumps(hooks))
    return shell.cwd


def states(shell: Shell) -> dict[str, str]:
    """What `octavo trust --list` says, by name."""
    lines = shell.octavo("trust", "--list").stdout.splitlines()[1:]
    return {line.split()[2]: line.split()[0] for line in lines}


def test_nothing_is_named_where_nothing_is(shell: Shell) -> None:
    done = shell.octavo("hooks", "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No hook is named here.\n", "")


def test_hooks_are_listed_with_what_becomes_of_them(shell: Shell, project: Path) -> None:
    shell.home.mkdir()
    own = {"hooks": {"Stop": [{"hooks": [{"command": "say done", "sandbox": "outside"}]}]}}
    (shell.home / "hooks.json").write_text(json.dumps(own))

    before = shell.octavo("hooks", "list")
    assert before.stdout.splitlines() == [
        "runs      outside Stop: say done",
        f"          {shell.home}/hooks.json, 600 s",
    ]
    assert "its directory is not trusted" in before.stderr

    shell.octavo("trust", "--accept-all")
    after = shell.octavo("hooks", "list")
    assert after.stdout.splitlines()[2:] == [
        'runs      sandbox PreToolUse Bash: python3 "$CLAUDE_PROJECT_DIR"'
        "/.octavo/hooks/check.py --all",
        f"          {project}/.octavo/hooks.json, 5 s",
    ]
    assert after.stderr == ""

    (project / ".octavo" / "hooks" / "check.py").write_text("import os\n")
    [_, changed] = json.loads(shell.octavo("hooks", "list", "--json").stdout)["hooks"]
    assert (changed["enabled"], changed["trustStatus"]) == (False, "modified")


def test_a_person_agrees_to_the_file_and_to_the_scripts_it_names(
    shell: Shell, project: Path
) -> None:
    assert states(shell) == {".octavo/hooks.json": "new", ".octavo/hooks/check.py": "new"}
    done = shell.octavo("trust", "--accept-all")
    assert "+import sys" in done.stderr
    assert set(states(shell).values()) == {"accepted"}

    (project / ".octavo" / "hooks" / "check.py").write_text("import sys, os\n")
    assert states(shell)[".octavo/hooks/check.py"] == "changed"
    shown = shell.octavo("trust").stderr
    assert "-import sys\n" in shown
    assert "+import sys, os\n" in shown


def test_hooks_of_a_projects_settings_are_an_item_of_their_own(shell: Shell, project: Path) -> None:
    settings = project / ".octavo" / "config.toml"
    settings.write_text('[[hooks.Stop]]\nhooks = [{command = "sh run.sh"}]\n')
    (project / "run.sh").write_text("true\n")

    shell.octavo("trust")
    found = states(shell)

    assert found[".octavo/config.toml#hooks"] == "new"
    assert found["run.sh"] == "new"
    assert "hooks is ignored" not in shell.octavo("config", "show").stderr


def test_codexs_own_hooks_are_taken_over(shell: Shell) -> None:
    codex = shell.home.parent / ".codex"
    codex.mkdir()
    (codex / "hooks.json").write_text('{"hooks": {"Stop": [{"hooks": [{"command": "true"}]}]}}')
    done = shell.octavo("config", "import-codex")
    assert done.returncode == 0, done.stderr
    assert "Stop: true" in shell.octavo("hooks", "list").stdout
