"""Runs octavo as a person does: as a process, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


class Shell:
    """A home, a working directory and an environment to run `octavo` in."""

    def __init__(self, root: Path) -> None:
        self.home = root / "octavo-home"
        self.cwd = root / "work"
        self.cwd.mkdir()
        self.env = {
            "HOME": str(root),
            "OCTAVO_HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "COLUMNS": "100",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }

    def octavo(
        self, *words: str, stdin: str = "", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "octavo", *words],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=cwd or self.cwd,
            env=self.env,
            timeout=60,
        )

    def settings(self, text: str) -> Path:
        self.home.mkdir(exist_ok=True)
        file = self.home / "config.toml"
        file.write_text(text)
        return file


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)
