"""Everything again as an ordinary user, where the tests are run as root."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import octavo

_NOBODY = 65534


def _python_for_everyone(path_entries: str) -> str | None:
    """Return a Python of this version that an ordinary user may run, libraries included."""
    if shutil.which("setpriv") is None:
        return None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        # Through a shell: what setpriv itself starts is still looked up with root's rights.
        imports = f"{shlex.quote(path)} -c 'import ctypes, msgspec, octavo, pytest'"
        trial = [*_as_nobody(), "/bin/sh", "-c", imports]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": path_entries}
        if (
            os.path.exists(path)
            and subprocess.run(trial, check=False, capture_output=True, env=env, cwd="/").returncode
            == 0
        ):
            return path
    return None


def _as_nobody() -> list[str]:
    identity = ["--reuid", str(_NOBODY), "--regid", str(_NOBODY), "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=-all"]


@pytest.mark.timeout(600)
@pytest.mark.skipif(os.geteuid() != 0, reason="the tests are an ordinary user's already")
def test_all_of_it_holds_for_an_ordinary_user() -> None:
    here = Path(__file__).resolve().parent
    source = Path(octavo.__file__).resolve().parents[1]
    libraries = Path(pytest.__file__).resolve().parents[1]
    python = _python_for_everyone(f"{source}:{libraries}")
    if python is None:
        pytest.skip("an ordinary user cannot read this checkout, or run its Python")
    with tempfile.TemporaryDirectory(prefix="octavo-test-user-", dir="/var/tmp") as temporary:
        os.chown(temporary, _NOBODY, _NOBODY)
        run = _run_as_nobody(python, here, f"{source}:{libraries}", temporary)

    assert run.returncode == 0, run.stdout[-6000:]
    assert " passed" in run.stdout


def _run_as_nobody(
    python: str, here: Path, path: str, temporary: str
) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": temporary,
        "TMPDIR": temporary,
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", str(here)]

    root = here.parents[1]
    return subprocess.run(
        [*_as_nobody(), *argv, f"--rootdir={root}"],
        env=env, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
