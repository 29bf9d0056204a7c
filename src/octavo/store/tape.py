"""A thread's log as one run of bytes, the parts it shares with others included, read at any place.

Places are counted from the beginning of the first part and stay what they are for good, since logs
are only appended to: a cursor is such a place. Lines are found by how they begin, which the writer
(`rollout`) fixes: the type comes first, and no line has a newline inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from octavo.protocol.errors import StoreError
from octavo.store.find import thread_id_of
from octavo.store.forks import parts

_CHUNK_BYTES = 1 << 18


class Tape:
    """An open thread. Made by `Tape.open`, ended by `close`.

    Attributes:
        size: of whole lines; what is still being written is not seen.
    """

    def __init__(self, files: list[tuple[str, int, int]]) -> None:
        self._files = files
        """Thread id, file and how much of it counts."""
        self.size = sum(size for _, _, size in files)

    @classmethod
    def open(cls, home: Path, path: Path) -> Tape:
        """Open the thread whose log is at `path`.

        Raises:
            StoreError: see `forks.parts`; or a log cannot be read.
        """
        tape = cls([])
        try:
            for part in parts(home, path):
                fd = os.open(part.path, os.O_RDONLY | os.O_CLOEXEC)
                size = os.fstat(fd).st_size if part.end_bytes is None else part.end_bytes
                tape._files.append((thread_id_of(part.path), fd, size))
        except OSError as failure:
            tape.close()
            raise StoreError(f"The thread at {path} could not be read: {failure}.") from failure
        tape.size = sum(size for _, _, size in tape._files)
        if tape.read(tape.size - 1, tape.size) not in (b"\n", b""):
            tape.size = tape.line_at(tape.size)
        return tape

    def close(self) -> None:
        """Close it. A second call does nothing."""
        files, self._files = self._files, []
        for _, fd, _ in files:
            os.close(fd)

    def __enter__(self) -> Tape:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`, or to where the thread ends."""
        start = max(start, 0)
        pieces: list[bytes] = []
        base = 0
        for _, fd, size in self._files:
            low, high = max(start, base), min(end, base + size)
            while low < high:
                piece = os.pread(fd, high - low, low - base)
                if not piece:
                    break  # cut by somebody while it was open
                pieces.append(piece)
                low += len(piece)
            base += size
        return b"".join(pieces)

    def place(self, offset: int) -> tuple[str, int]:
        """Return whose log holds the byte before `offset`, and `offset` as that log counts."""
        base = 0
        for thread_id, _, size in self._files:
            if offset <= base + size:
                return thread_id, offset - base
            base += size
        raise ValueError(f"{offset} is past the end")

    def lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield the whole lines from `start`, where one begins, each with its place."""
        kept = b""
        at = start
        while at < self.size:
            chunk = self.read(at, min(at + _CHUNK_BYTES, self.size))
            if not chunk:
                return
            at += len(chunk)
            whole, newline, rest = (kept + chunk).rpartition(b"\n")
            if newline:
                for line in whole.split(b"\n"):
                    yield start, line
                    start += len(line) + 1
            kept = rest

    def line_at(self, offset: int) -> int:
        """Return where the line begins that holds the byte before `offset`, or begins there."""
        newline = self._rfind(b"\n", offset)
        return newline + 1

    def find(self, beginning: bytes, start: int) -> int:
        """Return where the first line from `start` on is that begins so; -1 if there is none."""
        wanted = b"\n" + beginning
        at = max(start - 1, 0)
        while at < self.size:
            chunk = self.read(at, min(at + _CHUNK_BYTES + len(wanted), self.size))
            found = chunk.find(wanted)
            if found >= 0:
                return at + found + 1
            at += _CHUNK_BYTES
        return -1

    def find_last(self, beginning: bytes, end: int) -> int:
        """Return where the last line that begins so, and begins before `end`, is; -1: none."""
        found = self._rfind(b"\n" + beginning, end - 1 + len(beginning))
        return found + 1 if found >= 0 else -1

    def _rfind(self, wanted: bytes, end: int) -> int:
        """Return where `wanted` is for the last time, whole before `end`; -1: nowhere."""
        end = min(end, self.size)
        while end >= len(wanted):
            low = max(0, end - _CHUNK_BYTES - len(wanted))
            found = self.read(low, end).rfind(wanted)
            if found >= 0:
                return low + found
            if low == 0:
                return -1
            end = low + len(wanted) - 1
        return -1
