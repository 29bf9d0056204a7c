"""Who may do what with a folder of snapshots, between processes.

Two files. `lock` is held by whoever reads the list or adds to it; what is in it says how often the
list was written anew, so that a process that has read an earlier one notices. `held` is shared by
all who refer to snapshots that no log names yet; nothing is let go while somebody does.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from octavo.workspace.snapshot import SnapshotFailed

_DIGITS = 20


class InUse(SnapshotFailed):
    """A turn is under way in the folder that the snapshots are of."""


def hold(folder: Path) -> int:
    """Keep all snapshots of `folder` until the descriptor that is returned is closed.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _locked(folder / "held", fcntl.LOCK_SH)


def lock(folder: Path) -> int:
    """Wait for the right to read and write the list of `folder`, which ends with the descriptor.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _locked(folder / "lock", fcntl.LOCK_EX)


def times_begun(lock: int) -> int:
    """Return how often the list was written anew."""
    written = os.pread(lock, _DIGITS, 0).strip()
    return int(written) if written.isdigit() else 0


def begin_anew(lock: int) -> None:
    """Count that the list is written anew. Called before it is: once too often costs nothing."""
    os.pwrite(lock, b"%0*d" % (_DIGITS, times_begun(lock) + 1), 0)
    os.fsync(lock)


@contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Have a folder to oneself; yield its lock.

    Raises:
        InUse: somebody refers to its snapshots.
        OSError: it cannot be locked.
    """
    held = os.open(folder / "held", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse("A turn is under way there.") from None
        fd = lock(folder)
        try:
            yield fd
        finally:
            os.close(fd)
    finally:
        os.close(held)


def _locked(path: Path, how: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, how)
    except BaseException:
        os.close(fd)
        raise
    return fd
