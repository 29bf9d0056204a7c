"""The bundled skills are documented, stand alone, and are data that the package ships."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from octavo.context.skills.roots import BUNDLED

ROOT = Path(__file__).parents[2]
SKILLS = sorted(path.name for path in BUNDLED.iterdir() if path.name[0] not in "._")
SCRIPTS = sorted(BUNDLED.glob("*/scripts/*.py"))
LINES = 150


def test_the_guide_names_each_with_an_example_and_none_that_is_not_there() -> None:
    guide = (ROOT / "docs" / "guide" / "bundled-skills.md").read_text()

    assert sorted(re.findall(r"^\| `\$([a-z-]+)` \|", guide, re.MULTILINE)) == SKILLS
    examples = re.findall(r"^octavo exec (?:--[a-z-]+ )?'\$([a-z-]+)", guide, re.MULTILINE)
    assert sorted(examples) == SKILLS


@pytest.mark.parametrize("name", SKILLS)
def test_the_text_is_short_enough_to_be_read_whole(name: str) -> None:
    assert len((BUNDLED / name / "SKILL.md").read_text().splitlines()) <= LINES


@pytest.mark.parametrize("name", [name for name in SKILLS if name != "skill-creator"])
def test_the_text_says_that_what_others_wrote_is_data(name: str) -> None:
    text = " ".join((BUNDLED / name / "SKILL.md").read_text().split())

    assert re.search(r"(?:is|are|claims and) data\b", text)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_needs_nothing_but_python_and_says_how_it_is_used(
    script: Path, tmp_path: Path
) -> None:
    imported = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name)
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }

    done = subprocess.run(
        [sys.executable, "-I", str(script), "--help"], cwd=tmp_path, capture_output=True, text=True
    )

    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert script.stem not in sys.stdlib_module_names  # it would be imported in place of that
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    assert list(tmp_path.iterdir()) == []


def other_pythons() -> list[Path]:
    """The Pythons from 3.9 on that are installed beside this one, as version managers do."""
    beside = Path(sys.base_prefix).parent.glob("*3.*/bin/python3")
    found = [path for path in beside if int(re.findall(r"3\.(\d+)", str(path))[-1] or 0) >= 9]
    return sorted(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_starts_on_every_python_that_its_skill_names(script: Path, tmp_path: Path) -> None:
    assert "python3 (3." in (script.parents[1] / "SKILL.md").read_text()
    for python in other_pythons():
        done = subprocess.run(
            [python, "-I", str(script), "--help"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, (python, done.stderr)


def test_the_wheel_takes_the_whole_folder_of_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())

    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["src/octavo"]}
    ignored = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", str(BUNDLED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert [name for name in ignored.stdout.splitlines() if "__pycache__" not in name] == []
