"""Everything again as an ordinary user, where the tests are run as root.

Root's clone, environment and Python often lie where nobody else may look. So that user gets copies
of what it takes, and there is no way for these tests not to run: what stops them fails them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import octavo

_NOBODY = 65534
_PARTS = 4
"""So that two processes of the tests share the work; each takes every fourth file."""
_UNUSED = (
    *("*.opt-?.pyc", "*__mypyc*", "./mypy", "./mypyc", "./grimp", "./rich", "./hatchling"),
    *("./importlinter", "./idlelib", "./lib2to3", "./tkinter", "./turtledemo"),
)
"""Two thirds of the files of an environment and its Python, and no test here needs one."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="the tests are an ordinary user's already"),
]


class Place(NamedTuple):
    """What the ordinary user has: a clone, a home, and a Python with all libraries."""

    clone: Path
    home: Path
    python: str

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python as that user, with nothing of root's."""
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": str(self.clone / "src"),
        }
        return subprocess.run(
            [self.python, *arguments],
            env=env, cwd=self.clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            user=_NOBODY, group=_NOBODY, extra_groups=[],
        )  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Copy what is needed to where an ordinary user can read it; fail where that is not enough."""
    top = Path(tempfile.mkdtemp(prefix="octavo-test-user-", dir="/var/tmp"))
    try:
        top.chmod(0o755)
        home = top / "home"
        home.mkdir()
        os.chown(home, _NOBODY, _NOBODY)
        clone, source = Path(__file__).resolve().parents[2], Path(octavo.__file__).resolve()
        _copy(clone, top / "clone", "docs", "tests", "pyproject.toml")
        _copy(source.parents[1], top / "clone" / "src", "octavo")
        place = Place(top / "clone", home, sys.executable)
        if _wrong_with(place):
            place = place._replace(python=_copied_python(top / "python"))
        if wrong := _wrong_with(place):
            pytest.fail(f"An ordinary user cannot run the tests: {wrong}")
        yield place
    finally:
        shutil.rmtree(top, ignore_errors=True)


@pytest.mark.parametrize("part", range(_PARTS))
def test_all_of_it_holds_for_an_ordinary_user(part: int, place: Place) -> None:
    here = place.clone / "tests" / "sandbox"
    files = sorted({*here.rglob("test_*.py")} - {here / Path(__file__).name})[part::_PARTS]

    run = place.run("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(str, files))

    assert run.returncode == 0, run.stdout[-6000:]
    assert " passed" in run.stdout


def _wrong_with(place: Place) -> str:
    """Return why the tests cannot be run there; "" if they can."""
    try:
        trial = place.run("-c", "import ctypes, msgspec, octavo, pytest; print(octavo.__file__)")
    except PermissionError as error:
        return str(error)
    known = str(place.clone / "src" / "octavo" / "__init__.py")
    return "" if trial.stdout.strip() == known else trial.stdout


def _copied_python(to: Path) -> str:
    """Return a copy of this Python, and of the libraries it has here, that runs where it lies."""
    standard = Path(sysconfig.get_path("stdlib"))
    library = to / standard.relative_to(sys.base_prefix)
    _copy(standard, library, ".", but=("./site-packages", "./test"))
    _copy(Path(pytest.__file__).resolve().parents[1], library / "site-packages", ".")
    original = Path(sys.executable).resolve()
    program = original.read_bytes()
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        # The linker looks where it was told when Python was built; it can look beside as well.
        known = sysconfig.get_config_var("LIBDIR").encode()
        program = program.replace(known, b"$ORIGIN/../lib".ljust(len(known), b"\0"))
        _copy(Path(os.fsdecode(known)), to / "lib", sysconfig.get_config_var("INSTSONAME"))
    copy = to / "bin" / original.name
    copy.parent.mkdir()
    copy.write_bytes(program)
    copy.chmod(0o755)
    return str(copy)


def _copy(place: Path, to: Path, *names: str, but: tuple[str, ...] = ()) -> None:
    """Copy `names` in `place` so that everybody can read them, compiled files included."""
    to.mkdir(parents=True, exist_ok=True)
    unwanted = [f"--exclude={name}" for name in (*_UNUSED, *but)]
    packed = subprocess.Popen(
        ["tar", "-c", "--mode=a+rX", *unwanted, "-C", str(place), *names], stdout=subprocess.PIPE
    )
    subprocess.run(
        ["tar", "-xp", "--no-same-owner", "-C", str(to)], stdin=packed.stdout, check=True
    )
    assert packed.wait() == 0
