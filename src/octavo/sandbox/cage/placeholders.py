"""Empty directories that stand for protected names which do not exist yet.

A read-only mount needs a place on the host, so a missing `.git` or `.envrc` is made, empty, where
a command could otherwise make its own; git takes no notice of them. Each is recorded in a file of
the workspace before it is made. Whoever uses the workspace holds a shared lock on that file; the
last one removes what is recorded and still empty, and after a crash the next one does.
"""

from __future__ import annotations

import fcntl
import os

_RECORD_BYTES = 1 << 20


class Placeholders:
    """The placeholders of one workspace, held by this process until `release`."""

    def __init__(self, record: int) -> None:
        self._record = record

    @classmethod
    def open(cls, workspace: str, directory: str) -> Placeholders:
        """Lock the record of `workspace` in `directory`, which is made. OSError if it cannot be."""
        os.makedirs(directory, 0o700, exist_ok=True)
        path = os.path.join(directory, _name(workspace))
        record = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        placeholders = cls(record)
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            placeholders._sweep()
        except OSError:
            pass
        fcntl.flock(record, fcntl.LOCK_SH)
        return placeholders

    def add(self, path: str) -> None:
        """Make `path`, recorded first; nothing happens if it has come to exist."""
        os.lseek(self._record, 0, os.SEEK_END)
        os.write(self._record, os.fsencode(path) + b"\0")
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            return

    def release(self) -> None:
        """Let go; the last user of the workspace removes the placeholders."""
        try:
            fcntl.flock(self._record, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sweep()
        except OSError:
            pass
        os.close(self._record)

    def forget(self) -> None:
        """Close a forked copy; the lock stays with the process that took it."""
        os.close(self._record)

    def _sweep(self) -> None:
        for path in os.pread(self._record, _RECORD_BYTES, 0).split(b"\0"):
            try:
                os.rmdir(path)
            except OSError:
                continue
        os.ftruncate(self._record, 0)


def _name(workspace: str) -> str:
    """Return a file name for a path: its FNV-1a checksum."""
    checksum = 0xCBF29CE484222325
    for byte in os.fsencode(workspace):
        checksum = (checksum ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{checksum:016x}"
