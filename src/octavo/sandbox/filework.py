"""File states and changes, between octavo's types and the plain values that cross into a cage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from octavo.sandbox import Delete, FileChange, FileChangeRefused, FileState, Write
from octavo.sandbox.cage import files

_KINDS = {
    files.FILE: "file",
    files.DIRECTORY: "directory",
    files.MISSING: "missing",
    files.OTHER: "other",
    files.UNREADABLE: "unreadable",
}


def plain(change: FileChange) -> files.Change:
    """Return a change as the cage takes it."""
    path = os.fspath(change.path)
    match change:
        case Write():
            return ("write", path, change.data, change.mode, change.before, change.overwrite)
        case Delete():
            return ("delete", path, None, None, change.before, False)


def read_states(fd: int, count: int) -> list[FileState]:
    """Read what `files.look` wrote."""
    size = os.fstat(fd).st_size
    start = int.from_bytes(os.pread(fd, 8, size - 8), "little")
    records = os.pread(fd, size - 8 - start, start)
    states: list[FileState] = []
    at, data_at = 0, 0
    for _ in range(count):
        head = records[at : at + files.RECORD_BYTES]
        length = int.from_bytes(head[5:13], "little")
        real_end = at + files.RECORD_BYTES + int.from_bytes(head[13:17], "little")
        reason_end = real_end + int.from_bytes(head[17:21], "little")
        states.append(
            FileState(
                kind=_KINDS[head[0]],  # type: ignore[arg-type]  # the literal's words, all of them
                data=os.pread(fd, length, data_at) if length else b"",
                mode=int.from_bytes(head[1:5], "little"),
                real_path=Path(os.fsdecode(records[at + files.RECORD_BYTES : real_end])),
                reason=records[real_end:reason_end].decode("utf-8", "replace"),
            )
        )
        at, data_at = reason_end, data_at + length
    return states


def refused(told: bytes, changes: Sequence[FileChange]) -> FileChangeRefused:
    """Return the error for what a cage said of a batch."""
    index = int.from_bytes(told[:4], "little")
    text = told[5:].decode("utf-8", "replace")
    return FileChangeRefused(text, path=changes[index].path, reason=files.REASONS[told[4]])


def refused_here(refusal: files.Refused, changes: Sequence[FileChange]) -> FileChangeRefused:
    """Return the error for a refusal in this process."""
    return refused(refusal.encode(), changes)
