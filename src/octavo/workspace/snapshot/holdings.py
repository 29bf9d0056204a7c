"""What a folder of snapshots holds: which content is where, and which snapshots it is part of."""

from __future__ import annotations

import stat
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from octavo.workspace.snapshot import Entry
from octavo.workspace.snapshot.log import Record, SnapshotLog
from octavo.workspace.snapshot.packs import CHECKSUM_BYTES

LIST = "snapshots"
"""The file that lists a folder's snapshots."""


class Piece(msgspec.Struct):
    """A file's content in a pack, or the target of a link.

    Attributes:
        content: a git blob id, or the link's target.
        pack: number of the pack; 0 for a link.
        size_bytes: what it takes in its pack.
        path: where it was last.
        mode: of its inode then.
        spans: the first and the last snapshot of each run of them that it is part of.
    """

    content: bytes
    pack: int
    offset: int
    path: bytes
    mode: int
    size_bytes: int = 0
    spans: list[tuple[int, int]] = []

    def is_part_of(self, kept: Sequence[int]) -> bool:
        """Whether one of these snapshots, in order, holds it."""
        return any(bisect_left(kept, low) < bisect_right(kept, high) for low, high in self.spans)

    @property
    def name(self) -> tuple[bytes, bytes]:
        """What makes it the same as another one: content alone, or a link with its place."""
        return (self.content, b"" if self.pack else self.path)


class Holdings(msgspec.Struct, frozen=True):
    """All of one folder.

    Attributes:
        at_ms: when each snapshot was taken, in order.
        pieces: what they are made of.
        packs: the size of each pack that is there.
        strays: of these, the ones that no snapshot refers to.
    """

    folder: Path
    at_ms: dict[int, int]
    pieces: list[Piece]
    packs: dict[int, int]
    strays: list[int]

    def live_bytes(self, kept: Sequence[int]) -> int:
        """Return what these snapshots, in order, take."""
        return sum(piece.size_bytes for piece in self.pieces if piece.is_part_of(kept))


def holdings(folder: Path) -> Holdings:
    """Return what there is in `folder`.

    Raises:
        SnapshotFailed: its list cannot be read, or is of another version.
        OSError: the folder cannot be listed.
    """
    packs: dict[int, int] = {}
    for path in folder.glob("*.pack"):
        if path.stem.isdecimal():
            packs[int(path.stem)] = path.stat().st_size
    records = SnapshotLog(folder / LIST).read_all()
    pieces = list(_pieces(records))
    used = {piece.pack for piece in pieces}
    for number, size_bytes in packs.items():
        if number in used:
            _measure([piece for piece in pieces if piece.pack == number], size_bytes)
    at_ms = {record.number: record.at_ms for record in records}
    return Holdings(folder, at_ms, pieces, packs, sorted(packs.keys() - used))


def _pieces(records: list[Record]) -> Iterator[Piece]:
    found: dict[tuple[bytes, int, int], Piece] = {}
    there: dict[bytes, tuple[Piece, int]] = {}
    entries: dict[bytes, Entry] = {}
    last = 0

    def leave(path: bytes) -> None:
        if known := there.pop(path, None):
            piece, since = known
            piece.spans.append((since, last))

    for record in records:
        gone = list(record.gone)
        if record.whole:
            now = {entry.path for entry in record.changed}
            gone = [path for path in entries if path not in now]
        for path in gone:
            leave(path)
        for entry in record.changed:
            known = there.get(entry.path)
            key = _key(entry)
            if known is not None and key == _key(entries[entry.path]):
                continue
            leave(entry.path)
            if key is not None:
                made = Piece(entry.content, entry.pack, entry.offset, entry.path, entry.mode)
                piece = found.setdefault(key, made)
                piece.path, piece.mode = entry.path, entry.mode
                there[entry.path] = (piece, record.number)
        record.play(entries)
        last = record.number
    for path in list(there):
        leave(path)
    yield from found.values()


def _key(entry: Entry) -> tuple[bytes, int, int] | None:
    if stat.S_ISLNK(entry.mode):
        return (entry.path + b"\0" + entry.content, 0, 0)
    return (b"", entry.pack, entry.offset) if entry.pack else None


def _measure(pieces: list[Piece], size_bytes: int) -> None:
    """A piece reaches up to the next one; what no snapshot refers to counts to the one before."""
    pieces.sort(key=lambda piece: piece.offset)
    ends = [piece.offset for piece in pieces[1:]] + [size_bytes - CHECKSUM_BYTES]
    for piece, end in zip(pieces, ends, strict=True):
        piece.size_bytes = max(0, end - piece.offset)
