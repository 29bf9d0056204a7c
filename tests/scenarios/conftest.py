"""A workspace for each scenario, outside of /tmp so that the sandbox decides what is writable."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def workspace() -> Iterator[Path]:
    """An empty git repository."""
    place = Path(tempfile.mkdtemp(prefix="octavo-test-", dir=Path.home()))
    folder = place / "work"
    folder.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    yield folder
    shutil.rmtree(place, ignore_errors=True)
