"""docs/guide/skills.md: its commands run, its settings load, its figures are those of the code."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from octavo.config.settings import Skills
from octavo.context.skills.bodies import LIMIT_BYTES
from octavo.context.skills.header import (
    COMPATIBILITY_LIMIT_CHARS,
    DESCRIPTION_LIMIT_CHARS,
    NAME_LIMIT_CHARS,
)
from octavo.context.skills.listing import SHARE
from tests.cli.running import Shell
from tests.context.skills.making import make_skill

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "skills.md").read_text()
COMMANDS = [
    shlex.split(re.sub(r"\s#.*", "", line))[1:]
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def team(tmp_path: Path) -> str:
    """The team's repository of the guide."""
    top = tmp_path / "team"
    make_skill(top, "release-notes", "Write release notes. Use when asked.")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v2"]):
        subprocess.run(["git", "-C", str(top), *words], check=True)
    return f"file://{top}"


def test_every_command_of_the_guide_runs(shell: Shell, team: str) -> None:
    subprocess.run(["git", "init", "-q", shell.cwd], check=True)
    make_skill(shell.cwd / "drafts", "release-notes", "Write release notes. Use when asked.")
    ran = []
    places = {"https://example.org/team/skills.git": team, "~/.octavo": str(shell.home)}
    for written in COMMANDS:
        if written[0] == "exec":
            continue
        words = list(written)
        for said, meant in places.items():
            words = [word.replace(said, meant) for word in words]
        if words[:2] == ["skills", "add"]:
            shutil.rmtree(shell.home / "skills", ignore_errors=True)
        if words[:2] == ["skills", "remove"]:
            # The one of the project, which comes first.
            assert (shell.cwd / ".agents/skills/release-notes").exists()
        if words[:2] == ["skills", "accept"]:
            shell.octavo("skills", "add", "drafts/release-notes")
            (shell.home / "skills/release-notes/more.md").write_text("More.\n")
            words.append("-y")
        done = shell.octavo(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        ran.append(words[1])
    assert set(ran) == {"list", "new", "check", "show", "add", "remove", "accept"}


def test_the_settings_of_the_guide_are_settings() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)

    settings = msgspec.convert(tomllib.loads(block)["skills"], Skills, strict=True)

    assert (settings.config[0].name, settings.config[0].enabled) == ("yeet", False)


def test_the_figures_of_the_guide_are_the_codes() -> None:
    assert f"at most {NAME_LIMIT_CHARS} of `a` to `z`" in GUIDE
    assert f"at most {DESCRIPTION_LIMIT_CHARS} characters" in GUIDE
    assert f"at most {COMPATIBILITY_LIMIT_CHARS} characters" in GUIDE
    assert f"at most {SHARE:.0%} of its window".replace("%", " %") in GUIDE
    assert f"over {LIMIT_BYTES >> 10} KiB" in GUIDE
