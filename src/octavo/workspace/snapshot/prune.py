"""Letting old snapshots of a folder go, and none of what was in them.

Content that no snapshot holds any more is written to an archive first, and is on the disk before
anything is removed. A process that is killed at any moment leaves the snapshots as they were, or
as they should become; what is there twice then, or belongs to nothing, is seen to the next time.

Only one process may prune at a time (see `agent.gc`). Others may take and restore snapshots
meanwhile: they hold a folder while they refer to its snapshots, and it is left alone then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from octavo.workspace.snapshot import Entry, SnapshotFailed
from octavo.workspace.snapshot.archive import ENDING, archive_pieces, new_name, sync_folder
from octavo.workspace.snapshot.holdings import LIST, Holdings, Piece, holdings
from octavo.workspace.snapshot.locking import alone, begin_anew
from octavo.workspace.snapshot.log import Record, SnapshotLog
from octavo.workspace.snapshot.packs import PACK_FRAME_BYTES, PackReader, PackWriter, pack_path

REPACKED_PACKS = 1 << 30
"""Numbers from here on are of packs made here; those below are of the snapshots they came with."""
_WORTH = 4
"""A pack is written anew when so small a part of it, one in four, could go."""


class Plan(msgspec.Struct, frozen=True):
    """What pruning a folder would do.

    Attributes:
        kept: the snapshots that stay, in order.
        dropped: how many go.
        lost: pieces that no kept snapshot holds: they are archived.
        removed: packs that go, each with the pieces of it that stay and are written anew.
        strays: packs that belong to no snapshot: they are moved to the archive as they are.
        freed_bytes: about what this frees, archives not counted.
    """

    kept: tuple[int, ...]
    dropped: int
    lost: tuple[Piece, ...]
    removed: dict[int, tuple[Piece, ...]]
    strays: tuple[int, ...]
    freed_bytes: int

    @property
    def does_nothing(self) -> bool:
        """Whether all stays as it is."""
        return not (self.dropped or self.removed or self.strays)


def plan(there: Holdings, kept: Iterable[int]) -> Plan:
    """Work out what it takes to have only the snapshots `kept`, and always the last one. Pure."""
    numbers = list(there.at_ms)
    stay = sorted({*kept, *numbers[-1:]} & there.at_ms.keys())
    live = [piece for piece in there.pieces if piece.is_part_of(stay)]
    names = {piece.name for piece in live}
    lost = {piece.name: piece for piece in there.pieces if piece.name not in names}
    in_pack: dict[int, list[Piece]] = {}
    for piece in live:
        in_pack.setdefault(piece.pack, []).append(piece)
    removed: dict[int, tuple[Piece, ...]] = {}
    freed_bytes = 0
    for pack, size_bytes in there.packs.items():
        if pack in there.strays:
            continue
        staying = tuple(in_pack.get(pack, ()))
        going_bytes = size_bytes - PACK_FRAME_BYTES - sum(piece.size_bytes for piece in staying)
        if not staying or going_bytes * _WORTH >= size_bytes:
            removed[pack] = staying
            freed_bytes += going_bytes
    return Plan(
        tuple(stay),
        len(numbers) - len(stay),
        tuple(lost.values()),
        removed,
        tuple(there.strays),
        freed_bytes + sum(there.packs[pack] for pack in there.strays),
    )


def prune(
    folder: Path, kept: Sequence[int], archive: Path, name: str, about: str
) -> tuple[Plan, list[Path]]:
    """Keep only the snapshots `kept` of `folder`, the last one, and those taken meanwhile.

    Args:
        archive: the folder for what would be lost.
        name: how the names of archives begin.
        about: what is said in them.

    Returns:
        What was done, and the archives that were written.

    Raises:
        InUse: a turn is under way there.
        SnapshotFailed: it cannot be read, or content is damaged. Nothing was removed.
        OSError: the disk does not take it. Nothing was removed.
    """
    before = holdings(folder)
    first = plan(before, kept)
    made: list[Path] = []
    if first.lost:
        target = new_name(archive, name)
        _archive(before, first.lost, target, about)
        made.append(target)
    # From here on nobody takes or restores a snapshot. What was taken since stays.
    with alone(folder) as lock:
        now = holdings(folder)
        since = [number for number in now.at_ms if number not in before.at_ms]
        final = plan(now, [*kept, *since])
        archived = {piece.name for piece in first.lost}
        if any(piece.name not in archived for piece in final.lost):
            raise SnapshotFailed(f"{folder} changed meanwhile; nothing was removed.")
        made += _move_strays(folder, final.strays, archive, name)
        if final.dropped or final.removed:
            _let_go(folder, final, lock)
        return final, made


def _let_go(folder: Path, plan: Plan, lock: int) -> None:
    number = max(REPACKED_PACKS, *_numbers(folder), 0) + 1
    aside = folder / f"{LIST}.new"
    try:
        moved = _repack(folder, plan, number)
        _write_list(folder, aside, plan.kept, moved)
        sync_folder(folder)
        begin_anew(lock)
        os.rename(aside, folder / LIST)
    except BaseException:
        aside.unlink(missing_ok=True)
        pack_path(folder, number).unlink(missing_ok=True)
        raise
    sync_folder(folder)
    for pack in plan.removed:
        pack_path(folder, pack).unlink(missing_ok=True)


def _archive(there: Holdings, lost: Sequence[Piece], target: Path, about: str) -> None:
    packs = PackReader(there.folder)
    try:
        archive_pieces(
            target,
            lost,
            lambda piece: packs.read(piece.pack, piece.offset, piece.content),
            about,
            lambda number: there.at_ms.get(number, 0),
        )
    finally:
        packs.close()


def _move_strays(folder: Path, strays: Sequence[int], archive: Path, name: str) -> list[Path]:
    """What a process left that was killed between a pack and the record that refers to it."""
    moved = []
    for pack in strays:
        archive.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = new_name(archive, f"{name}-{pack:08d}")
        target = target.with_name(target.name.removesuffix(ENDING) + ".pack")
        os.rename(pack_path(folder, pack), target)
        moved.append(target)
    return moved


def _repack(folder: Path, plan: Plan, number: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Write what stays of packs that go into a new one; return from where to where it moved."""
    staying = [piece for pieces in plan.removed.values() for piece in pieces]
    writer, reader = PackWriter(folder, number), PackReader(folder)
    moved: dict[tuple[int, int], tuple[int, int]] = {}
    try:
        for piece in sorted(staying, key=lambda one: (one.pack, one.offset)):
            data = reader.read(piece.pack, piece.offset, piece.content)
            moved[piece.pack, piece.offset] = (number, writer.add(piece.content, data))
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    finally:
        reader.close()
    return moved


def _numbers(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.pack") if path.stem.isdecimal()]


def _write_list(
    folder: Path,
    aside: Path,
    kept: Sequence[int],
    moved: dict[tuple[int, int], tuple[int, int]],
) -> None:
    """Write the list as it will be, with only the snapshots `kept` in it."""
    aside.unlink(missing_ok=True)
    target = SnapshotLog(aside)
    stays = set(kept)
    state: dict[bytes, Entry] = {}
    written: dict[bytes, Entry] = {}
    for record in SnapshotLog(folder / LIST).read_all():
        record.play(state)
        if record.number not in stays:
            continue
        now = {path: _moved(entry, moved) for path, entry in state.items()}
        number, at_ms, is_last = record.number, record.at_ms, record.number == kept[-1]
        if not written or target.wants_whole:
            new = Record(number, at_ms, tuple(now.values()), whole=True)
        else:
            changed = tuple(one for path, one in now.items() if written.get(path) != one)
            gone = tuple(path for path in written if path not in now)
            new = Record(number, at_ms, changed, gone)
        target.append(new, sync=is_last)
        written = now


def _moved(entry: Entry, moved: dict[tuple[int, int], tuple[int, int]]) -> Entry:
    place = moved.get((entry.pack, entry.offset))
    if place is None or not entry.pack:
        return entry
    return msgspec.structs.replace(entry, pack=place[0], offset=place[1])
