"""The repository's own checks notice what they are there for, and its lists are right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BARE = "# no" + "qa: F401"
REASONED = BARE + "  # the import itself is the point"


def run(tree: Path, tool: str) -> subprocess.CompletedProcess[str]:
    """Run one of the tools on a tree."""
    return subprocess.run(
        [sys.executable, f"tools/{tool}.py"], cwd=tree, capture_output=True, text=True
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the documents, the source and the tools."""
    tree = tmp_path / "octavo"
    tree.mkdir()
    for name in ("docs", "requirements", "src", "tools"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignore, symlinks=True)
    for path in [*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "LICENSE", ROOT / "pyproject.toml"]:
        shutil.copy(path, tree)
    (tree / ".venv").symlink_to(Path(sys.prefix))
    return tree


@pytest.mark.parametrize(
    ("name", "addition", "complaint"),
    [
        ("README.md", "[gone](gone.md)", "links to gone.md, which does not exist"),
        ("README.md", "[gone](AGENTS.md#gone)", "there is no such heading"),
        ("README.md", "`make gone`", "names `make gone`"),
        ("AGENTS.md", "`octavo frobnicate`", "names `octavo frobnicate`"),
        ("ARCHITECTURE.md", "`src/octavo/gone.py`", "names src/octavo/gone.py"),
        ("README.md", "get it from py" + "pi.org", "names a package registry"),
        ("docs/guide/secret.md", "A page.", "does not list docs/guide/secret.md"),
        ("docs/adr/9999-secret.md", "A choice.", "does not list 9999-secret.md"),
    ],
)
def test_a_document_that_says_what_is_not_so_is_noticed(
    tree: Path, name: str, addition: str, complaint: str
) -> None:
    document = tree / name
    before = document.read_text() if document.exists() else ""
    document.write_text(f"{before}\n{addition}\n")

    done = run(tree, "check_docs")

    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_path_of_this_machine_is_noticed(tree: Path) -> None:
    (tree / "docs/notes.md").write_text(f"See {tree}/src.\n")

    done = run(tree, "check_docs")

    assert "docs/notes.md contains a path of this machine" in done.stderr


def test_a_changelog_without_unreleased_is_noticed(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text("# Changelog\n")

    assert "no section '## Unreleased'" in run(tree, "check_docs").stderr


def test_a_waiver_needs_a_reason(tree: Path) -> None:
    waiver = tree / "src/octavo/waiver.py"
    waiver.write_text(f"import os  {REASONED}\n")
    assert "src/octavo/waiver.py" not in run(tree, "sizes").stderr

    waiver.write_text(f"import os  {BARE}\n")
    done = run(tree, "sizes")

    assert done.returncode == 1
    assert "src/octavo/waiver.py:1" in done.stderr


def test_the_bill_of_materials_lists_the_lock_and_is_the_same_each_time(tree: Path) -> None:
    target = tree / "dist/sbom.cdx.json"
    texts = []
    for _ in range(2):
        done = run(tree, "sbom")
        assert done.returncode == 0, done.stderr
        texts.append(target.read_text())

    assert texts[0] == texts[1]
    bill = json.loads(texts[0])
    lock = (ROOT / "requirements/core.lock").read_text()
    assert bill["bomFormat"] == "CycloneDX"
    assert len(bill["components"]) == lock.count("==")
    assert all(f"{part['name']}=={part['version']} " in lock for part in bill["components"])
