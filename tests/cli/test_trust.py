"""`octavo trust` shows what executes in a project, and takes a yes to exactly that."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.cli.running import Shell


@pytest.fixture
def project(shell: Shell) -> Shell:
    subprocess.run(["git", "init", "-q"], cwd=shell.cwd, check=True)
    (shell.cwd / ".octavo/rules").mkdir(parents=True)
    (shell.cwd / ".octavo/rules/a.rules").write_text('prefix_rule(pattern=["a"])\n')
    return shell


def test_without_a_terminal_nothing_that_executes_is_accepted_unless_it_is_said(
    project: Shell,
) -> None:
    plain = project.octavo("trust")
    assert plain.returncode == 0
    assert "Not accepted (new): rules for commands, .octavo/rules/a.rules" in plain.stdout
    assert project.octavo("trust", "--list").stdout.startswith("new      rules for commands")

    assert "Accepted: rules for commands" in project.octavo("trust", "--accept-all").stdout
    assert project.octavo("trust", "--list").stdout.startswith("accepted rules for commands")
    assert project.octavo("trust", "--diff").stdout == ""
    assert "Not accepted" not in project.octavo("trust").stdout


def test_a_change_is_shown_with_what_hides_in_it(project: Shell) -> None:
    project.octavo("trust", "--accept-all")
    file = project.cwd / ".octavo/rules/a.rules"
    file.write_text('prefix_rule(pattern=["a"])\n# \x1b[2J\u202e\u200b\n')

    shown = project.octavo("trust", "--diff").stdout
    assert shown.startswith("changed: rules for commands")
    assert "\n+# ⟨U+001B⟩[2J⟨U+202E⟩⟨U+200B⟩\n" in shown
    assert ' prefix_rule(pattern=["a"])\n' in shown
    assert project.octavo("trust", "--list").stdout.startswith("changed  ")


def test_only_to_look_trusts_nothing(project: Shell) -> None:
    project.octavo("trust", "--list")
    project.octavo("trust", "--diff")
    assert not (project.home / "trust.json").exists()
    assert not (project.home / "consents.json").exists()


def test_untrust_takes_the_consents_back(project: Shell) -> None:
    project.octavo("trust", "--accept-all")
    project.octavo("untrust")
    assert project.octavo("trust", "--list").stdout.startswith("new ")


@pytest.mark.parametrize(("answer", "state"), [("y", "accepted"), ("n", "new"), ("", "new")])
def test_on_a_terminal_each_item_is_asked_about(project: Shell, answer: str, state: str) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb", buffering=0) as terminal:
        terminal.write(answer.encode() + b"\n")
        subprocess.run(
            [sys.executable, "-m", "octavo", "trust"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=project.cwd,
            env=project.env,
            timeout=60,
            check=True,
        )
        os.close(theirs)
    assert project.octavo("trust", "--list").stdout.startswith(state)
