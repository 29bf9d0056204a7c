"""Lines made to be slow to search do not hold the scripts up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.skills.steps import run_script

LINES = (
    "secret" * 600,
    "token=" * 600,
    "password" + "_" * 4000,
    "://a:" * 800,
    "://" + "a" * 2000 + ":" + "b" * 2000,
    "_" * 4000 + " x",
    "error" * 800,
    "{" * 4000,
    '{"a":' * 800,
    "[" * 4000,
    "eyJ" + "a" * 2000 + ".eyJ" + "a" * 2000,
    "SELECT " * 600 + '"' * 400,
    "2026-02-03" * 400,
    "FAILED " * 600,
    "a\x1b[" * 1000,
    " " * 4000 + "x",
    "execute(" * 500,
    "`" * 4000,
    "bearer " * 600,
)


@pytest.mark.parametrize(
    ("skill", "script", "words"),
    [
        ("fix-ci", "first_failure.py", ("a.py",)),
        ("debug-logs", "timeline.py", ("a.py",)),
        ("debug-logs", "find_logs.py", (".", "--name", "a")),
        ("security-audit", "find_secrets.py", (".",)),
        ("security-audit", "find_risky_calls.py", (".",)),
        ("summarize-codebase", "map.py", (".",)),
        ("write-tests", "compare.py", ("a.py",)),
    ],
)
def test_a_script_reads_them_in_time(
    tmp_path: Path, skill: str, script: str, words: tuple[str, ...]
) -> None:
    text = "\n".join(LINES * 15)
    for name in ("a.py", "a.js", "a.go", "a.php", "a.c", "a.yml"):
        (tmp_path / name).write_text(text)

    done = run_script(skill, script, *words, cwd=tmp_path)  # which waits a minute, and no longer

    assert "Traceback" not in done.stderr
