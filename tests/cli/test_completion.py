"""Completion scripts: shells accept them, and they complete what the parsers know."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from octavo.cli import commands
from octavo.cli.completion import bash, fish, nodes, zsh


def complete(words: list[str], tmp_path: Path) -> list[str]:
    """Return what bash would offer for the last of `words`."""
    script = tmp_path / "octavo.bash"
    script.write_text(bash(nodes()))
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        '_octavo; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["octavo", "exe"], ["exec", "execpolicy"]),
        (["octavo", "log"], ["login", "logout"]),
        (["octavo", "--v"], ["--version"]),
        (["octavo", "config", ""], ["show", "path", "set", "unset", "import-codex"]),
        (["octavo", "config", "-"], ["--help", "-h"]),
        (["octavo", "trust", ""], []),
        (["octavo", "config", "show", "--j"], ["--json"]),
        (["octavo", "config", "show", "-p", "x", "--al"], ["--all"]),
        (["octavo", "login", "st"], ["status"]),
        (["octavo", "exec", "--sandbox", "w"], ["workspace-write"]),
        (["octavo", "exec", "-s", "read-only", "--js"], ["--json"]),
        (["octavo", "exec", "-i", ""], []),
        (["octavo", "completion", ""], ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes(words: list[str], offered: list[str], tmp_path: Path) -> None:
    assert sorted(complete(words, tmp_path)) == sorted(offered)


def test_bash_offers_every_command(tmp_path: Path) -> None:
    assert set(commands()) <= set(complete(["octavo", ""], tmp_path))


def test_hidden_options_stay_hidden() -> None:
    assert "--yolo" not in bash(nodes()) + zsh(nodes()) + fish(nodes())


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_shell_itself_accepts_the_script(name: str, tmp_path: Path) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"{name} is not installed here")
    script = tmp_path / "script"
    script.write_text({"bash": bash, "zsh": zsh, "fish": fish}[name](nodes()))
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
