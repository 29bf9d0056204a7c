"""The walls between the packages: they hold, and a hole in each would be noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter over a copy of the source."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-logo", "--no-cache", *arguments],
        cwd=tree,
        env={"PYTHONPATH": str(tree / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source and its contracts."""
    place = tmp_path_factory.mktemp("walls")
    shutil.copy(ROOT / "pyproject.toml", place)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", place / "src", ignore=ignore)
    return place


def test_the_walls_hold(tree: Path) -> None:
    done = lint_imports(tree)

    assert done.returncode == 0, done.stdout + done.stderr


def test_faces_are_forbidden_every_package_but_the_few_they_may_use() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [wall] = [wall for wall in contracts["contracts"] if wall["id"] == "faces-and-core"]
    folders = (ROOT / "src/octavo").glob("*/__init__.py")

    packages = {f"octavo.{folder.parent.name}" for folder in folders}

    free = {f"octavo.{name}" for name in ("aio", "client", "config", "faces", "protocol", "rpc")}
    assert set(wall["forbidden_modules"]) == packages - free


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("layers", "protocol/hole.py", "import octavo.config"),
        ("layers", "model/hole.py", "import octavo.sandbox"),
        ("layers", "tools/hole.py", "import octavo.agent"),
        ("layers", "newcomer/__init__.py", ""),
        ("faces-and-core", "faces/exec/hole.py", "import octavo.agent"),
        ("faces-independent", "faces/other/__init__.py", "import octavo.faces.exec"),
        ("http", "server/hole.py", "import pyqwest"),
        ("sqlite", "agent/hole.py", "import sqlite3"),
        ("textual", "faces/exec/hole.py", "import textual"),
        ("mcp", "tools/hole.py", "import mcp"),
        ("websockets", "server/hole.py", "import websockets"),
        ("tree-sitter", "agent/hole.py", "import tree_sitter_bash"),
        ("yaml", "context/hole.py", "import yaml"),
        ("words-do-nothing", "protocol/hole.py", "import anyio"),
    ],
)
def test_a_hole_in_a_wall_is_noticed(tree: Path, contract: str, module: str, line: str) -> None:
    hole = tree / "src/octavo" / module
    hole.parent.mkdir(exist_ok=True)
    hole.write_text(line + "\n")
    try:
        done = lint_imports(tree, "--contract", contract)
    finally:
        hole.unlink()
        if hole.name == "__init__.py":
            hole.parent.rmdir()

    assert done.returncode == 1
    assert "1 broken" in done.stdout or "undeclared" in done.stdout + done.stderr
