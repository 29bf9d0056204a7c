"""A lock is its holder's until that is gone, and nothing of it stays where nothing was written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.store.events import AT_MS, THREAD_ID, noticed, started

from octavo.protocol.errors import ThreadBusy
from octavo.store.lock import Lock, holder
from octavo.store.rollout import Rollout


def names(home: Path) -> list[str]:
    return sorted(path.suffix for path in home.rglob("*") if path.is_file())


def test_a_process_killed_before_its_first_event_leaves_no_lock_behind(tmp_path: Path) -> None:
    waits = (
        "import pathlib, sys\n"
        "from octavo.store.rollout import Rollout\n"
        f"log = Rollout.create(pathlib.Path(sys.argv[1]), {THREAD_ID!r}, {AT_MS})\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", waits, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    assert names(tmp_path) == []


def test_a_thread_is_held_from_its_first_event_on(tmp_path: Path) -> None:
    with Rollout.create(tmp_path, THREAD_ID, AT_MS) as log:
        log.append(started())
        with pytest.raises(ThreadBusy, match=str(os.getpid())):
            Rollout.open(log.path)
        log.append(noticed(1))
        assert names(tmp_path) == [".jsonl", ".lock"]
    assert names(tmp_path) == [".jsonl"]


def test_a_reserved_lock_does_not_replace_one_that_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    reserved = Lock.reserve(path)
    with pytest.raises(ThreadBusy):
        _placed_besides(reserved, path)
    reserved.release()
    assert holder(path) is None


def _placed_besides(reserved: Lock, path: Path) -> None:
    other = Lock.take(path)
    try:
        reserved.place()
    finally:
        other.release()
