"""`octavo skills`, as a person types it."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.test_skill_source import Origin
from tests.cli.running import Shell
from tests.context.skills.making import make_skill


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


def listed(shell: Shell) -> dict[str, str]:
    found = json.loads(shell.octavo("skills", "list", "--json").stdout)
    return {one["name"]: one["state"] for one in found["data"] if one["scope"] != "system"}


def test_a_skill_is_made_checked_listed_and_shown(shell: Shell) -> None:
    made = shell.octavo("skills", "new", "tidy", "--description", "Tidies up: all. Use when asked.")
    folder = shell.home / "skills" / "tidy"
    assert made.stdout.startswith(f"Made {folder}/SKILL.md. ")

    checked = shell.octavo("skills", "check", str(folder))
    assert f"run `octavo skills check {folder}`." in made.stdout
    assert (checked.returncode, checked.stdout) == (
        0,
        f"{folder}: valid\n"
        "  The instructions are still those of `octavo skills new`: fill them in.\n",
    )
    text = (folder / "SKILL.md").read_text()
    (folder / "SKILL.md").write_text(text.replace("Say here what to do first", "Run `tidy`"))
    checked = shell.octavo("skills", "check", str(folder))
    assert checked.stdout == f"{folder}: valid\n"

    shown = shell.octavo("skills", "list").stdout.splitlines()
    assert shown[0] == f"{shell.home}/skills (your own)"
    assert shown[1].split(maxsplit=2) == ["ok", "tidy", "Tidies up: all. Use when asked."]
    assert any("octavo's own" in line for line in shown)

    text = shell.octavo("skills", "show", "tidy").stdout
    assert text.startswith("tidy\n  state       ok\n")
    assert "1. Run `tidy`" in text
    as_json = json.loads(shell.octavo("skills", "show", "tidy", "--json").stdout)
    assert as_json["files"] == ["SKILL.md"]


def test_what_is_wrong_with_a_skill_is_said(shell: Shell) -> None:
    folder = make_skill(shell.cwd, "tidy", "Short", "x\n" * 600)
    with (folder / "SKILL.md").open("a") as file:
        file.write("\u202e")
    text = (folder / "SKILL.md").read_text()
    (folder / "SKILL.md").write_text(text.replace("description", "model: x\ndescription"))
    advised = shell.octavo("skills", "check", "tidy")
    assert advised.returncode == 0
    assert [line.split()[0] for line in advised.stdout.splitlines()] == [
        "tidy:",
        "The",
        "The",
        "The",
        "The",
    ]

    (folder / "SKILL.md").write_text("---\nname: Tidy\n---\n")
    wrong = shell.octavo("skills", "check", "tidy/SKILL.md", "tidy")
    assert wrong.returncode == 1
    assert wrong.stdout.count("The field `description` is missing.") == 2
    assert shell.octavo("skills", "check", "nowhere").returncode == 2


def test_a_skill_is_added_from_git_tampered_with_accepted_and_removed(
    shell: Shell, origin: Origin
) -> None:
    added = shell.octavo("skills", "add", f"{origin.url}#skills/tidy")
    assert added.returncode == 0, added.stderr
    assert f"from      {origin.url} (skills/tidy) at commit {origin.first}" in added.stdout
    assert "programs  run.sh (they run in the sandbox only)" in added.stdout
    assert listed(shell) == {"tidy": "ok"}

    folder = shell.home / "skills" / "tidy"
    (folder / "run.sh").write_text("echo evil\n")
    assert listed(shell) == {"tidy": "changed"}
    assert "run.sh changed." in shell.octavo("skills", "list").stdout

    refused = shell.octavo("skills", "accept", "tidy")
    assert refused.returncode == 1
    assert "    -echo ran\n    +echo evil\n" in refused.stderr
    assert "Run this on a terminal, or with -y" in refused.stderr
    assert listed(shell) == {"tidy": "changed"}

    accepted = shell.octavo("skills", "accept", "tidy", "-y")
    assert (accepted.returncode, accepted.stdout[:15]) == (0, "Accepted: tidy ")
    assert listed(shell) == {"tidy": "ok"}
    assert "is what was agreed to" in shell.octavo("skills", "accept", "tidy").stdout

    assert shell.octavo("skills", "remove", "tidy").stdout == f"Removed {folder}\n"
    assert listed(shell) == {}


def test_a_skill_is_added_to_a_repository_under_another_name(shell: Shell, origin: Origin) -> None:
    subprocess.run(["git", "init", "-q", shell.cwd], check=True)

    words = ["add", "skills/tidy", "--project", "--name", "neat"]
    added = shell.octavo("skills", *words, cwd=origin.top)
    assert added.returncode == 0, added.stderr
    added = shell.octavo("skills", "add", str(origin.skill), "--project", "--name", "neat")
    assert added.returncode == 0, added.stderr

    assert (shell.cwd / ".agents" / "skills" / "neat" / "run.sh").exists()
    assert (shell.cwd / ".agents" / "skills.lock").exists()
    [first, *_] = shell.octavo("skills", "list").stdout.splitlines()
    assert first == f"{shell.cwd}/.agents/skills (the repository's, not trusted)"


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["show", "nothing"], 1, "There is no skill 'nothing'. `octavo skills list` shows them."),
        (["show", "yet"], 1, "There is no skill 'yet'. Did you mean 'yeet'?"),
        (["remove", "skill-creator"], 1, "skill-creator is part of octavo."),
        (["add", "git@example.org:a/b"], 2, "Skills are not fetched over ssh"),
        (["new", "Tidy"], 1, "may only have a to z"),
        (["add", "nowhere"], 2, "is not a folder, and not a git address"),
        (["accept", ""], 2, "The name is empty."),
        (["list", "-C", "nowhere"], 2, "is not a directory"),
        ([], 2, "Missing"),
    ],
)
def test_what_cannot_be_done_is_said(shell: Shell, words: list[str], status: int, why: str) -> None:
    done = shell.octavo("skills", *words)

    assert (done.returncode, done.stdout) == (status, "")
    assert why in done.stderr


@pytest.mark.parametrize(("answer", "state"), [("y", "ok"), ("n", "changed"), ("", "changed")])
def test_on_a_terminal_the_person_is_asked(shell: Shell, answer: str, state: str) -> None:
    source = make_skill(shell.cwd, "tidy")
    shell.octavo("skills", "add", str(source))
    (shell.home / "skills" / "tidy" / "run.sh").write_text("new")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "octavo", "skills", "accept", "tidy"]
    with subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, cwd=shell.cwd, env=shell.env
    ) as process:
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen and select.select([ours], [], [], 30)[0]:
            seen += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        process.wait(30)
    os.close(ours)

    assert "+new" in seen.decode()
    assert listed(shell) == {"tidy": state}


def test_what_is_no_skill_is_neither_shown_nor_added(shell: Shell) -> None:
    (shell.home / "skills" / "empty").mkdir(parents=True)
    (make_skill(shell.cwd, "tidy") / "SKILL.md").write_text("---\nname: tidy\n---\n")

    shown = shell.octavo("skills", "show", "empty")
    added = shell.octavo("skills", "add", "tidy")

    assert (shown.returncode, added.returncode) == (1, 1)
    assert f"{shell.home}/skills/empty: It has no SKILL.md." in shown.stderr
    assert "tidy is no valid skill: The field `description` is missing." in added.stderr
    assert os.listdir(shell.home / "skills") == ["empty"]


def test_a_hostile_name_is_shown_for_what_it_is(shell: Shell) -> None:
    (shell.home / "skills" / "ti\x1b[2Jdy").mkdir(parents=True)

    shown = shell.octavo("skills", "list").stdout

    assert "\x1b" not in shown
    assert "ti⟨U+001B⟩[2Jdy" in shown


def test_skills_that_are_switched_off_are_shown_as_settings_and_as_skills(shell: Shell) -> None:
    make_skill(shell.home / "skills", "tidy")
    make_skill(Path(shell.env["HOME"]) / ".agents" / "skills", "neat")
    shell.settings(
        '[[skills.config]]\nname = "tidy"\nenabled = false\n'
        '[[skills.config]]\npath = "~/.agents/skills/neat/SKILL.md"\nenabled = false\n'
    )

    assert listed(shell) == {"tidy": "disabled", "neat": "disabled"}
    shown = shell.octavo("config", "show").stdout
    assert '{ name = "tidy", enabled = false }, { path = "~/.agents/skills/neat/SKILL.md"' in shown


def test_directories_whose_names_are_no_text_are_refused_in_a_sentence(shell: Shell) -> None:
    odd = os.fsdecode(b"odd\xff")
    (shell.cwd / odd).mkdir()

    for words in (("skills", "list"), ("hooks", "list")):
        done = shell.octavo(*words, *(("-C",) if words[0] == "skills" else ()), odd)
        assert done.returncode != 0
        assert "is not UTF-8. Rename it." in done.stderr
        assert "Traceback" not in done.stderr
