"""The list of snapshots on the disk: one record each, with what differs from the one before.

Records are appended and never changed. Each has its length and checksum before it, so one that
was cut off by a crash is known, and is written over by the next. From time to time a record says
everything, so that opening a long list reads only its end.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from octavo.workspace.snapshot import Entry, SnapshotFailed

_MAGIC = b"octavo snapshots 1\n"
_HEAD = struct.Struct(">?QII")
"""Whether the record is whole, its number, its length in bytes and its checksum."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One snapshot: the one before it, less `gone`, with `changed` put in.

    Attributes:
        whole: nothing of the one before it counts.
    """

    number: int
    at_ms: int
    changed: tuple[Entry, ...]
    gone: tuple[bytes, ...] = ()
    whole: bool = False

    def play(self, entries: dict[bytes, Entry]) -> None:
        """Make the entries of the snapshot before this one those of this one."""
        if self.whole:
            entries.clear()
        for path in self.gone:
            entries.pop(path, None)
        entries.update((entry.path, entry) for entry in self.changed)


class SnapshotLog:
    """The file of records. Whoever uses it holds the store's lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self._whole_bytes = 0
        self._since_bytes = 0

    @property
    def wants_whole(self) -> bool:
        """Whether the records since the last whole one have grown larger than it."""
        return self._since_bytes > self._whole_bytes

    def read_new(self) -> list[Record]:
        """Return the records since the last call; at first those since the last whole one.

        Raises:
            SnapshotFailed: the file cannot be read, or is of another kind or version.
        """
        data = self._read(self._end)
        heads = list(self._heads(data, self._end))
        start = max((i for i, head in enumerate(heads) if head[0]), default=0)
        records = [_decode(data[at : at + size], self._path) for _, _, at, size in heads[start:]]
        end = 0
        for whole, _, at, size in heads:
            self._count(size, whole=whole)
            end = at + size
        self._end += end
        return records

    def read_all(self) -> list[Record]:
        """Return every record there is. Not for going on from: see `read_new`.

        Raises:
            SnapshotFailed: as `read_new`.
        """
        data = self._read(0)
        return [
            _decode(data[at : at + size], self._path) for _, _, at, size in self._heads(data, 0)
        ]

    def read_up_to(self, number: int) -> list[Record]:
        """Return the records that make snapshot `number`.

        Raises:
            SnapshotFailed: as `read_new`.
        """
        data = self._read(0)
        heads = [head for head in self._heads(data, 0) if head[1] <= number]
        start = max((i for i, head in enumerate(heads) if head[0]), default=0)
        return [_decode(data[at : at + size], self._path) for _, _, at, size in heads[start:]]

    def append(self, record: Record, *, sync: bool = True) -> None:
        """Put `record` on the disk, or without `sync` on its way there.

        Raises:
            OSError: it is not there; what was before is as it was.
        """
        body = msgspec.msgpack.encode(record)
        head = _HEAD.pack(record.whole, record.number, len(body), zlib.crc32(body))
        framed = (b"" if self._end else _MAGIC) + head + body
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "r+b", buffering=0) as file:
            file.truncate(self._end)
            file.seek(self._end)
            try:
                view = memoryview(framed)
                while view:
                    view = view[file.write(view) :]
                if sync:
                    os.fsync(fd)
            except OSError:
                file.truncate(self._end)
                raise
        self._end += len(framed)
        self._count(len(body), whole=record.whole)

    def _count(self, size_bytes: int, *, whole: bool) -> None:
        if whole:
            self._whole_bytes, self._since_bytes = size_bytes, 0
        else:
            self._since_bytes += size_bytes

    def _read(self, start: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise SnapshotFailed(f"{self._path} cannot be read: {error.strerror}.") from error

    def _heads(self, data: bytes, start: int) -> Iterator[tuple[bool, int, int, int]]:
        """Yield whether whole, number, place in `data` and length of each record that is whole."""
        at = 0
        if start == 0:
            if _MAGIC.startswith(data):
                return  # not even its first line is on the disk
            if not data.startswith(_MAGIC):
                raise SnapshotFailed(f"{self._path} is not a list of snapshots this version knows.")
            at = len(_MAGIC)
        while at + _HEAD.size <= len(data):
            whole, number, size, checksum = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            if at + size > len(data) or zlib.crc32(data[at : at + size]) != checksum:
                return
            yield whole, number, at, size
            at += size


def _decode(body: bytes, path: Path) -> Record:
    try:
        return msgspec.msgpack.decode(body, type=Record)
    except msgspec.DecodeError as error:
        raise SnapshotFailed(f"{path} has a record that cannot be read.") from error
