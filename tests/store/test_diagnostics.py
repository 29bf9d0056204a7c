"""The diagnostic log: bounded, clean, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from octavo.store.diagnostics import Diagnostics


def plain(text: str) -> str:
    return text


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "octavo.log").read_text().splitlines()]


def test_a_line_says_when_who_and_what(tmp_path: Path) -> None:
    log = Diagnostics(tmp_path / "log", "info", plain)
    log.write("info", "request sent", bytes=12, url="http://localhost/", cached=None)
    log.write("debug", "not wanted")
    log.close()

    [line] = lines(tmp_path / "log")
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "level": "info",
        "pid": os.getpid(),
        "message": "request sent",
        "bytes": 12,
        "url": "http://localhost/",
        "cached": None,
    }
    assert (tmp_path / "log/octavo.log").stat().st_mode & 0o777 == 0o600


def test_off_writes_nothing(tmp_path: Path) -> None:
    log = Diagnostics(tmp_path / "log", "off", plain)
    log.write("error", "ignored")
    log.write("off", "ignored")
    log.close()

    assert not log.wants("error")
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_taken_out_before_texts_are_cut(tmp_path: Path) -> None:
    secret = 'key"with\\quotes' + "k" * 50
    log = Diagnostics(tmp_path, "trace", lambda text: text.replace(secret, "[redacted]"))
    log.write("trace", "x" * 4080 + secret, header=f"Bearer {secret}")
    log.close()

    [line] = lines(tmp_path)
    assert line["message"] == "x" * 4080 + "[redacted]"
    assert line["header"] == "Bearer [redacted]"
    log.write("trace", "y" * 100_000)
    assert str(lines(tmp_path)[1]["message"]).endswith("y… (100000 characters)")


def test_two_files_take_turns_and_never_hold_more_than_the_limit(tmp_path: Path) -> None:
    limit_bytes = 400_000
    log = Diagnostics(tmp_path, "info", plain, limit_bytes=limit_bytes)
    for number in range(2000):
        log.write("info", "x" * 1000, number=number)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit_bytes
    log.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["octavo.log", "octavo.log.1"]
    assert lines(tmp_path)[-1]["number"] == 1999


def test_processes_share_the_files_without_spoiling_a_line(tmp_path: Path) -> None:
    script = """if True:
        import sys
        from pathlib import Path
        from octavo.store.diagnostics import Diagnostics
        log = Diagnostics(Path(sys.argv[1]), "info", lambda text: text, limit_bytes=400_000)
        for number in range(1000):
            log.write("info", "x" * 1000, number=number)
    """
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 400_000
    for path in tmp_path.iterdir():
        for line in path.read_text().splitlines():
            json.loads(line)


def test_nothing_that_goes_wrong_reaches_the_caller(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    Diagnostics(tmp_path / "log", "info", plain).write("info", "lost")

    def broken(text: str) -> str:
        raise RuntimeError(text)

    Diagnostics(tmp_path / "other", "info", broken).write("info", "lost")

    full = tmp_path / "full"
    full.mkdir()
    (full / "octavo.log").symlink_to("/dev/full")
    Diagnostics(full, "info", plain).write("info", "lost", odd="\ud800")
