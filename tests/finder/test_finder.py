"""Modules are found as Python finds them, and what was changed is read anew."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import pytest

import octavo
from octavo.finder import Finder

NAMES = [module.name for module in pkgutil.walk_packages(octavo.__path__, "octavo.")]


def test_every_module_of_octavo_is_found_where_python_finds_it() -> None:
    finder = Finder("octavo")
    assert len(NAMES) > 300
    for name in NAMES:
        folder = f"{octavo.__path__[0]}/{'/'.join(name.split('.')[1:-1])}".rstrip("/")
        mine, theirs = finder.find_spec(name, [folder]), PathFinder.find_spec(name, [folder])
        assert mine is not None
        assert theirs is not None
        for word in ("name", "origin", "cached", "submodule_search_locations", "has_location"):
            assert getattr(mine, word) == getattr(theirs, word), (name, word)
        assert mine.parent == theirs.parent
        assert isinstance(mine.loader, SourceFileLoader)
        assert isinstance(theirs.loader, SourceFileLoader)
        if name.startswith("octavo.rpc"):
            assert mine.loader.get_code(name) == theirs.loader.get_code(name)


@pytest.mark.parametrize("name", ["octavo", "os", "octavoish.keeper", "octavo.nothing"])
def test_what_is_not_octavos_is_left_to_python(name: str) -> None:
    assert Finder("octavo").find_spec(name, octavo.__path__) is None


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from octavo.finder import Finder
sys.meta_path.insert(0, Finder("plain"))
import plain.inner.said
print(plain.inner.said.WORD, type(plain.inner.said.__loader__).__module__)
"""


def _say(folder: Path) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, env=env
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A package, run once, so that it is compiled."""
    inner = tmp_path / "plain" / "inner"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent):
        (folder / "__init__.py").touch()
    (inner / "said.py").write_text("WORD = 'old'\n")
    assert _say(tmp_path) == "old octavo.finder"
    [compiled] = (inner / "__pycache__").glob("said.*")
    assert compiled.is_file()
    return tmp_path


def test_a_compiled_module_is_read_and_a_changed_one_compiled_anew(plain: Path) -> None:
    source = plain / "plain/inner/said.py"
    state = source.stat()
    source.write_text("WORD = 'new'\n")
    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert _say(plain) == "old octavo.finder"  # the same time and size: as Python itself does

    source.write_text("WORD = 'newer'\n")
    assert _say(plain) == "newer octavo.finder"


@pytest.mark.parametrize("left", [0, 3, 16, 40])
def test_a_damaged_compiled_file_is_what_it_is_to_python(plain: Path, left: int) -> None:
    [compiled] = (plain / "plain/inner/__pycache__").glob("said.*")
    compiled.write_bytes(compiled.read_bytes()[:left])

    said = _say(plain)

    assert said == "old octavo.finder" or said.startswith("EOFError")
    compiled.unlink()
    assert _say(plain) == "old octavo.finder"


def test_a_module_that_is_not_there_is_not_found(plain: Path) -> None:
    (plain / "plain/inner/said.py").unlink()

    assert _say(plain) == "ModuleNotFoundError: No module named 'plain.inner.said'"
