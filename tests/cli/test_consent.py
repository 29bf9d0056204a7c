"""What a repository brings that decides counts byte for byte as it was agreed to, and no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.running import Shell

RULE = 'prefix_rule(pattern=["touch", "x"], decision="forbidden", justification="No x.")\n'


@pytest.fixture
def rules(shell: Shell) -> Path:
    """A rule file of the repository in which the shell works."""
    subprocess.run(["git", "init", "-q", str(shell.cwd)], check=True)
    file = shell.cwd / ".octavo" / "rules" / "own.rules"
    file.parent.mkdir(parents=True)
    file.write_text(RULE)
    return file


def state(shell: Shell) -> str:
    """What `octavo trust --list` says of the file."""
    said = shell.octavo("trust", "--list").stdout.splitlines()
    return said[1].split()[0]


def test_trust_alone_does_not_agree_to_rules_where_nobody_can_be_asked(
    shell: Shell, rules: Path
) -> None:
    done = shell.octavo("trust")

    assert done.returncode == 0
    assert "own.rules is new" in done.stderr
    assert "forbidden" in done.stderr
    assert "Not agreed to: .octavo/rules/own.rules" in done.stderr
    assert state(shell) == "new"


def test_a_changed_byte_is_a_question_again_and_shows_the_difference(
    shell: Shell, rules: Path
) -> None:
    shell.octavo("trust", "--accept-all")
    assert state(shell) == "accepted"
    rules.write_text(RULE.replace("forbidden", "allow"))
    assert state(shell) == "changed"

    done = shell.octavo("trust")

    assert '-prefix_rule(pattern=["touch", "x"], decision="forbidden"' in done.stderr
    assert '+prefix_rule(pattern=["touch", "x"], decision="allow"' in done.stderr
    assert state(shell) == "changed"
    rules.write_text(RULE)
    assert state(shell) == "accepted"


def test_a_work_tree_shares_what_was_agreed_to(shell: Shell, rules: Path, tmp_path: Path) -> None:
    shell.octavo("trust", "--accept-all")
    git = ["git", "-C", str(shell.cwd), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    subprocess.run([*git, "worktree", "add", "-q", str(tmp_path / "tree")], check=True)

    done = shell.octavo("trust", "--list", cwd=tmp_path / "tree")

    assert done.stdout.splitlines()[1].startswith("accepted")


def test_distrust_takes_it_back(shell: Shell, rules: Path) -> None:
    shell.octavo("trust", "--accept-all")
    shell.octavo("untrust")

    assert state(shell) == "new"


def test_what_hides_in_a_rule_is_shown(shell: Shell, rules: Path) -> None:
    rules.write_text("# \u202egnihton\n" + RULE)

    done = shell.octavo("trust")

    assert "\u202e" not in done.stderr
    assert "202e" in done.stderr.lower()


def test_a_damaged_record_is_said(shell: Shell, rules: Path) -> None:
    shell.octavo("trust", "--accept-all")
    (shell.home / "consents.json").write_text("{")

    done = shell.octavo("trust", "--list")

    assert done.returncode == 2
    assert "consents.json is damaged" in done.stderr


def test_a_link_is_an_item_under_its_own_name(shell: Shell, rules: Path) -> None:
    outside = shell.cwd.parent / "outside.rules"
    rules.rename(outside)
    rules.symlink_to(outside)

    assert "Agreed to: .octavo/rules/own.rules" in shell.octavo("trust", "--accept-all").stderr
    assert state(shell) == "accepted"
    outside.write_text(RULE + "# more")
    assert state(shell) == "changed"


def test_untrust_takes_back_what_was_agreed_to_also_without_a_repository(shell: Shell) -> None:
    file = shell.cwd / ".octavo" / "rules" / "own.rules"
    file.parent.mkdir(parents=True)
    file.write_text(RULE)
    shell.octavo("trust", "--accept-all")
    assert state(shell) == "accepted"

    shell.octavo("untrust")
    assert state(shell) == "new"
