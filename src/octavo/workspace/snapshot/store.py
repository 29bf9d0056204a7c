"""One folder's snapshots: taking them, telling them apart, making the folder one of them again.

Nothing here runs beside anything else on the same store: a lock file sees to that between
processes, and its holder takes in first what others added. Taking a snapshot when nothing changed
costs one listing and writes nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from octavo.workspace.snapshot import Change, EditedSince, Entry, SnapshotFailed
from octavo.workspace.snapshot.below import Below
from octavo.workspace.snapshot.log import Record, SnapshotLog
from octavo.workspace.snapshot.packs import PackReader, PackWriter, blob_id
from octavo.workspace.snapshot.restore import apply
from octavo.workspace.snapshot.scan import scan, stamp_at, stamp_of, stamps

FILE_LIMIT_BYTES = 64 << 20
TOTAL_LIMIT_ENTRIES = 400_000
RACY_NS = 20_000_000
"""An inode's time moves with the kernel's tick, 10 ms at most: what changed this shortly before
the listing may change again and keep its stamp."""
TRIES = 3
_PROGRESS_EVERY = 500


class Objects(Protocol):
    """The repository's own content, used where it has the very bytes already."""

    def has(self, blob: bytes) -> bool: ...

    def read(self, blob: bytes) -> bytes | None: ...


class _NoObjects:
    def has(self, blob: bytes) -> bool:
        return False

    def read(self, blob: bytes) -> bytes | None:
        return None


class Store:
    """The snapshots of `root`, kept in `folder`.

    Attributes:
        last: number of the latest snapshot; 0 before the first.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        file_limit_bytes: int = FILE_LIMIT_BYTES,
        objects: Objects | None = None,
    ) -> None:
        self.root = root
        self._folder = folder
        self._file_limit_bytes = file_limit_bytes
        self._objects: Objects = objects or _NoObjects()
        self._log = SnapshotLog(folder / "snapshots")
        self._entries: dict[bytes, Entry] = {}
        self._scanned: bytes | None = None
        self.last = 0

    def take(self, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Take a snapshot, or find that the last one still holds, and return its number.

        Args:
            on_progress: told how many of how many changed paths are done.

        Raises:
            SnapshotFailed: it cannot be taken. What was kept before stays.
        """
        with self._locked():
            return self._take(on_progress)

    def changes(self, older: int, newer: int) -> list[Change]:
        """Return how two snapshots differ, by path.

        Raises:
            SnapshotFailed: there is no such snapshot.
        """
        with self._locked():
            return _differences(self._state(older), self._state(newer))

    def restore(
        self, number: int, *, since: int | None = None, overwrite: bool = False
    ) -> tuple[int, list[Change]]:
        """Make the folder what it was at snapshot `number`.

        What it is now is kept as a snapshot first, so that can be had back in turn.

        Args:
            since: take back only what happened between `number` and this snapshot. What was edited
                after it is somebody else's work, and stays.
            overwrite: where both touched the same file, lose the later edit.

        Returns:
            The snapshot of what was there before, and what did not become as it was: files that
            were too large to keep, and what others changed in these moments.

        Raises:
            EditedSince: somebody else's work would be overwritten; nothing was changed.
            SnapshotFailed: it could not be done; the folder is as it was before.
        """
        with self._locked():
            target = self._state(number)
            before = self._take(None)
            left_behind = self._entries if since is None else self._state(since)
            undone = _differences(left_behind, target)
            wanted = [
                Change(one.path, self._entries.get(one.path), one.after)
                for one in undone
                if not _is(self._entries.get(one.path), one.after)
            ]
            if not overwrite and (clash := self._edited(wanted, left_behind)):
                raise EditedSince(clash)
            packs = PackReader(self._folder)
            try:
                self._apply([one for one in wanted if _can_be_made(one)], packs)
            finally:
                packs.close()
            self._take(None)
            left = [one for one in undone if not _is(self._entries.get(one.path), one.after)]
            return before, left

    def _edited(self, wanted: list[Change], left_behind: Mapping[bytes, Entry]) -> list[bytes]:
        """Return what would be overwritten and is not as it was left behind."""
        edited = [one.path for one in wanted if not _is(one.before, left_behind.get(one.path))]
        closed = tuple(
            one.path + b"/"
            for one in wanted
            if one.before is not None
            and one.before.is_folder
            and one.after is not None
            and not one.after.is_folder
        )
        if closed:
            # What somebody put into a folder that has to become a file.
            known = {one.path for one in wanted}
            edited += [
                path for path in self._entries if path.startswith(closed) and path not in known
            ]
        return edited

    def _apply(self, wanted: list[Change], packs: PackReader) -> None:
        def content(entry: Entry) -> bytes:
            return self._content(entry, packs)

        # All content is had before the first file is touched; a damaged pack changes nothing.
        for one in wanted:
            if one.after is not None and stat.S_ISREG(one.after.mode):
                content(one.after)
        try:
            apply(self.root, wanted, content)
        except OSError as error:
            back = [Change(one.path, one.after, one.before) for one in wanted]
            try:
                apply(self.root, back, content)
            except OSError as worse:
                raise SnapshotFailed(
                    f"The files could not be restored: {error.strerror}. Going back failed as"
                    f" well: {worse.strerror}; some files in {self.root} are as they were before,"
                    " some are not, and none is lost."
                ) from error
            raise SnapshotFailed(
                f"The files could not be restored: {error.strerror} ({_shown(error)}). They are"
                " as they were before."
            ) from error

    def _content(self, entry: Entry, packs: PackReader) -> bytes:
        if entry.pack:
            return packs.read(entry.pack, entry.offset, entry.content)
        data = self._objects.read(entry.content)
        if data is None or blob_id(data) != entry.content:
            raise SnapshotFailed(
                f"The content of {os.fsdecode(entry.path)} is gone from the repository."
            )
        return data

    def _take(self, on_progress: Callable[[int, int], None] | None) -> int:
        certain_before = stamp_at(time.time_ns() - RACY_NS)
        scanned = scan(self.root)
        if self.last and scanned == self._scanned:
            return self.last
        found = stamps(scanned)
        if len(found) > TOTAL_LIMIT_ENTRIES:
            raise SnapshotFailed(
                f"{self.root} has {len(found)} files and folders, more than the"
                f" {TOTAL_LIMIT_ENTRIES} that can be kept."
            )
        old = self._entries
        dirty = [path for path, stamp in found.items() if _stamp(old.get(path)) != stamp]
        try:
            read = self._read(dirty, found, certain_before, on_progress)
            self._note(read, [path for path in old if path not in found and not self._hidden(path)])
        except OSError as error:
            raise SnapshotFailed(
                f"No snapshot of {self.root} could be taken: {error.strerror} ({_shown(error)})."
            ) from error
        is_certain = all(_stamp(self._entries.get(path)) for path in dirty)
        self._scanned = scanned if is_certain else None
        return self.last

    def _note(self, read: Mapping[bytes, Entry | None], gone: list[bytes]) -> None:
        """Put what differs from the last snapshot on the disk, and then into memory."""
        gone += [path for path, entry in read.items() if entry is None and path in self._entries]
        changed = [
            entry
            for path, entry in read.items()
            if entry is not None and entry != self._entries.get(path)
        ]
        record = Record(self.last + 1, time.time_ns() // 1_000_000, tuple(changed), tuple(gone))
        if not (changed or gone) and self.last:
            return
        entries = dict(self._entries)
        record.play(entries)
        if self._log.wants_whole or not self.last:
            record = Record(record.number, record.at_ms, tuple(entries.values()), whole=True)
        self._log.append(record)
        self._entries, self.last = entries, record.number

    def _read(
        self,
        dirty: list[bytes],
        found: Mapping[bytes, bytes],
        certain_before: bytes,
        on_progress: Callable[[int, int], None] | None,
    ) -> dict[bytes, Entry | None]:
        pack = PackWriter(self._folder, self.last + 1)
        read: dict[bytes, Entry | None] = {}
        known = {one.content: one for one in self._entries.values() if one.pack}
        try:
            with Below(self.root) as below:
                for path in dirty:
                    if on_progress is not None and len(read) % _PROGRESS_EVERY == 0:
                        on_progress(len(read), len(dirty))
                    entry = self._entry(below, path, pack, known)
                    is_certain = entry is None or found[path] == entry.stamp < certain_before
                    if entry is not None and entry.is_kept and not is_certain:
                        entry = msgspec.structs.replace(entry, stamp=b"")
                    read[path] = entry
            pack.close()
        except BaseException:
            pack.abandon()
            raise
        return read

    def _entry(
        self, below: Below, path: bytes, pack: PackWriter, known: Mapping[bytes, Entry]
    ) -> Entry | None:
        """Return what is at `path`; None if nothing is, or something that is not kept."""
        try:
            folder, name = below.folder(path)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                target = os.readlink(name, dir_fd=folder)
                return Entry(path, stamp_of(found), found.st_mode, 0, target, 0, 0)
            if stat.S_ISDIR(found.st_mode):
                closed = not os.access(name, os.R_OK | os.X_OK, dir_fd=folder)
                return Entry(path, stamp_of(found), found.st_mode, int(closed), b"", 0, 0)
            if stat.S_ISFIFO(found.st_mode):
                return Entry(path, stamp_of(found), found.st_mode, 0, b"", 0, 0)
            if not stat.S_ISREG(found.st_mode):
                return None
            if found.st_size > self._file_limit_bytes:
                return Entry(path, stamp_of(found), found.st_mode, found.st_size, b"", 0, 0)
            try:
                read = _content_of(folder, name, self._file_limit_bytes)
            except PermissionError:
                return Entry(path, stamp_of(found), found.st_mode, found.st_size, b"", 0, 0)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link has come into the way
                return None
            raise
        if read is None:
            return Entry(path, stamp_of(found), found.st_mode, found.st_size, b"", 0, 0)
        data, found = read
        blob = blob_id(data)
        number, offset = 0, 0
        if old := known.get(blob):
            number, offset = old.pack, old.offset
        elif not self._objects.has(blob):
            number, offset = pack.number, pack.add(blob, data)
        return Entry(path, stamp_of(found), found.st_mode, len(data), blob, number, offset)

    def _hidden(self, path: bytes, entries: Mapping[bytes, Entry] | None = None) -> bool:
        """Whether a folder above `path` could not be listed, so that nobody knows what is there."""
        entries = self._entries if entries is None else entries
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            above = entries.get(path)
            if above is not None and above.is_folder and above.size:
                return True
        return False

    def _state(self, number: int) -> dict[bytes, Entry]:
        """Return what was there at a snapshot, by replaying the log up to it."""
        if number == 0:
            return {}
        if number == self.last:
            return self._entries
        if not 0 < number < self.last:
            raise SnapshotFailed(f"There is no snapshot {number} of {self.root}.")
        entries: dict[bytes, Entry] = {}
        for record in self._log.read_up_to(number):
            record.play(entries)
        return entries

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SnapshotFailed(
                f"Snapshots cannot be kept in {self._folder}: {error.strerror}."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for record in self._log.read_new():
                record.play(self._entries)
                self.last = record.number
                self._scanned = None
            yield
        finally:
            os.close(lock)


def _content_of(folder: int, name: bytes, limit_bytes: int) -> tuple[bytes, os.stat_result] | None:
    """Read a file that may be written to at the same time; None where it never holds still.

    Its stamp is certain only if it was the same before and after.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=folder)
    with open(fd, "rb", buffering=0) as file:
        before = os.fstat(fd)
        for _ in range(TRIES):
            if not stat.S_ISREG(before.st_mode) or before.st_size > limit_bytes:
                return None
            file.seek(0)
            data = file.read(limit_bytes + 1)
            after = os.fstat(fd)
            if after.st_ctime_ns == before.st_ctime_ns and len(data) == after.st_size:
                return data, after
            before = after
    return None


def _is(entry: Entry | None, other: Entry | None) -> bool:
    return other is None if entry is None else entry.same_as(other)


def _differences(before: Mapping[bytes, Entry], after: Mapping[bytes, Entry]) -> list[Change]:
    changes = [
        Change(path, before.get(path), entry)
        for path, entry in after.items()
        if not entry.same_as(before.get(path))
    ]
    gone = [Change(path, entry, None) for path, entry in before.items() if path not in after]
    return sorted(changes + gone, key=lambda one: one.path)


def _can_be_made(change: Change) -> bool:
    """Whether both sides of a change are kept: what is not kept is never deleted nor made."""
    return all(side is None or side.is_kept for side in (change.before, change.after))


def _stamp(entry: Entry | None) -> bytes:
    return b"" if entry is None else entry.stamp


def _shown(error: OSError) -> str:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, bytes | str) else "while writing"
