"""What processes left behind in octavo's directory, and what takes room in it. Finds and removes.

What is removed here can be told for certain to be of no use: locks that nobody holds, logs in which
nothing was written, files that were never given their name. Kept outputs are of use for a while;
how long is the caller's to say.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from octavo.protocol.errors import StoreError
from octavo.store.find import ARCHIVED, SESSIONS, thread_id_of
from octavo.store.lock import Lock, holder

OUTPUTS = "outputs"
ARCHIVE = "archive"
"""Where what exists nowhere else is put away."""
STALE_S = 3600.0
"""What was written to so lately may be somebody's who is just at it."""

_ASIDE = re.compile(r"\..+\.([0-9]+)\.[0-9a-f]{8}")
"""How a file of octavo's is called until it is whole: see `config.paths.write_private`."""


class Left(NamedTuple):
    """Something that a process which was killed left behind."""

    kind: Literal["lock", "log", "write"]
    path: Path
    size_bytes: int


class Output(NamedTuple):
    """The kept output of a command. `log` is that of its thread; None where that is gone."""

    path: Path
    thread_id: str
    log: Path | None
    size_bytes: int
    written_s: float


def left_behind(home: Path) -> Iterator[Left]:
    """Yield what is left of processes that were killed."""
    old_s = time.time() - STALE_S
    for root in (home / SESSIONS, home / ARCHIVED):
        for path in sorted(root.glob("*/*/*/rollout-*.*")):
            found = _stat(path)
            if found is None or found.st_mtime > old_s:
                continue
            if path.suffix == ".lock" and holder(path) is None:
                yield Left("lock", path, found.st_size)
            elif path.suffix == ".jsonl" and not found.st_size:
                yield Left("log", path, 0)
    for path in sorted(home.glob(".*")):
        found = _stat(path)
        named = _ASIDE.fullmatch(path.name)
        if found is None or named is None or found.st_mtime > old_s:
            continue
        if path.is_file() and not path.is_symlink() and not _lives(int(named[1])):
            yield Left("write", path, found.st_size)
    for path in sorted((home / "cache").glob(".selftest-*")):  # a sandbox was killed as it started
        found = _stat(path)
        if found is not None and found.st_mtime <= old_s:
            yield Left("write", path, found.st_size)
    for path in sorted((home / ARCHIVE).glob("*/*.new")):  # what would be in it is still kept
        if (found := _stat(path)) is not None:
            yield Left("write", path, found.st_size)


def remove_left(left: Left) -> None:
    """Remove it, if it still is nobody's.

    Raises:
        ThreadBusy: somebody has come to hold it.
        OSError: it cannot be removed.
    """
    if left.kind == "write":
        left.path.unlink(missing_ok=True)
        return
    lock = Lock.take(left.path.with_suffix(".lock"))
    try:
        if left.kind == "log" and left.path.stat().st_size == 0:
            left.path.unlink()
    except FileNotFoundError:
        pass
    finally:
        lock.release()


def outputs(home: Path, logs: dict[str, Path]) -> list[Output]:
    """Return the outputs that are kept. `logs` holds each thread's, by its id."""
    found = []
    for folder in sorted((home / OUTPUTS).glob("*")):
        for path in sorted(folder.glob("*.log")) if folder.is_dir() else ():
            there = _stat(path)
            if there is not None:
                log = logs.get(folder.name)
                size_bytes = there.st_blocks * 512
                found.append(Output(path, folder.name, log, size_bytes, there.st_mtime))
    return found


def remove_output(output: Output) -> None:
    """Remove a kept output, if nobody has its thread open.

    Raises:
        ThreadBusy: its thread is open.
        StoreError: its log has moved meanwhile.
        OSError: it cannot be removed.
    """
    if output.log is None:
        _unlink(output.path)
        return
    lock = Lock.take(output.log.with_suffix(".lock"))
    try:
        if not output.log.is_file():
            raise StoreError(f"Thread {thread_id_of(output.log)} was moved meanwhile.")
        _unlink(output.path)
    finally:
        lock.release()


def is_busy(log: Path) -> bool:
    """Whether a process has the thread of `log` open. Only looks."""
    return holder(log.with_suffix(".lock")) is not None


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        pass  # there are others in it


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _stat(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None
