"""One folder's snapshots: taking them, telling them apart, making the folder one of them again.

Nothing here runs beside anything else on the same store: a lock file sees to that between
processes, and its holder takes in first what others added. Taking a snapshot when nothing changed
costs one listing and writes nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from octavo.workspace.snapshot import Change, EditedSince, Entry, SnapshotFailed, Span, Undone
from octavo.workspace.snapshot.below import Below
from octavo.workspace.snapshot.differences import (
    can_be_made,
    differences,
    is_hidden,
    is_same,
    take_back,
)
from octavo.workspace.snapshot.holdings import LIST
from octavo.workspace.snapshot.locking import hold, lock, times_begun
from octavo.workspace.snapshot.log import Record, SnapshotLog
from octavo.workspace.snapshot.packs import PackReader, PackWriter, blob_id, clear
from octavo.workspace.snapshot.restore import apply
from octavo.workspace.snapshot.scan import LARGE, scan, stamp_at, stamp_of, stamps

FILE_LIMIT_BYTES = 64 << 20
LIMIT_ENTRIES = 400_000
RACY_NS = 20_000_000
"""An inode's time moves with the kernel's tick, 10 ms at most: what changed this shortly before
the listing may change again and keep its stamp."""
OBJECTS = b".git/objects"
TRIES = 3
_PROGRESS_EVERY = 500


class Store:
    """The snapshots of `root`, kept in `folder`.

    Args:
        file_limit_bytes: a larger file is not kept.
        limit: how many files and folders there may be.
        placeholders: names at the top that count only if something is in them: a cage stands empty
            ones in the place of what commands must not make.

    Attributes:
        last: number of the latest snapshot; 0 before the first.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        file_limit_bytes: int = FILE_LIMIT_BYTES,
        limit: int = LIMIT_ENTRIES,
        placeholders: Sequence[str] = (),
    ) -> None:
        self.root = root
        self._folder = folder
        self._file_limit_bytes = file_limit_bytes
        self._limit = limit
        self._placeholders = [os.fsencode(name) for name in placeholders]
        self._log = SnapshotLog(folder / LIST)
        self._entries: dict[bytes, Entry] = {}
        self._scanned: bytes | None = None
        self._times_begun = 0
        self._held = -1
        self.last = 0

    def hold(self) -> None:
        """Keep every snapshot from being let go until `release`, or the end of the process.

        For as long as a number is not written down where it would be looked for. Blocks while
        old ones are let go. A second call does nothing.

        Raises:
            SnapshotFailed: nothing can be kept here.
        """
        if self._held < 0:
            try:
                self._held = hold(self._folder)
            except OSError as error:
                raise self._unwritable(error) from error

    def release(self) -> None:
        """End `hold`."""
        held, self._held = self._held, -1
        if held >= 0:
            os.close(held)

    def take(self, on_progress: Callable[[int, int], None] | None = None) -> int:
        """Take a snapshot, or find that the last one still holds, and return its number.

        Args:
            on_progress: told how many of how many changed paths are done.

        Raises:
            SnapshotFailed: it cannot be taken. What was kept before stays.
        """
        with self._locked():
            return self._take(on_progress)

    def undo(self, spans: Sequence[Span], *, overwrite: bool = False) -> Undone:
        """Take back what happened in `spans`.

        What is there now is kept as a snapshot first, so undoing can be undone. What happened
        outside of the spans is somebody else's work, and stays.

        Args:
            spans: the latest first.
            overwrite: where somebody else edited the same file later, lose that edit.

        Raises:
            EditedSince: somebody else's work would be overwritten; nothing was changed.
            SnapshotFailed: it could not be done; the folder is as it was before.
        """
        with self._locked():
            before = self._take(None)
            present = self._entries
            target = dict(present)
            edited: set[bytes] = set()
            for span in spans:
                after = present if span.after is None else self._state(span.after)
                edited.update(take_back(target, after, self._state(span.before)))
            wanted = differences(present, target)
            if not overwrite and edited:
                raise EditedSince(sorted(edited))
            packs = PackReader(self._folder)
            try:
                self._apply([one for one in wanted if can_be_made(one)], packs)
            finally:
                packs.close()
            now = self._take(None)
            left = [one for one in wanted if not is_same(self._entries.get(one.path), one.after)]
            if self._lacks_objects(wanted):
                left.append(Change(OBJECTS, None, None))
            return Undone(before, now, tuple(wanted), tuple(left))

    def _lacks_objects(self, wanted: Sequence[Change]) -> bool:
        """Whether the folder's own repository came back without its objects, which are not kept."""
        came = any(one.path == b".git" and one.before is None for one in wanted)
        return came and not os.path.exists(os.path.join(os.fsencode(self.root), OBJECTS))

    def _apply(self, wanted: list[Change], packs: PackReader) -> None:
        def content(entry: Entry) -> bytes:
            return packs.read(entry.pack, entry.offset, entry.content)

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

    def _take(self, on_progress: Callable[[int, int], None] | None) -> int:
        certain_before = stamp_at(time.time_ns() - RACY_NS)
        is_large = len(self._entries) > LARGE
        scanned = scan(self.root, is_large=is_large, limit=self._limit)
        if self.last and scanned == self._scanned:
            return self.last
        found = stamps(scanned)
        for name in self._placeholders:
            if name in found and self._is_empty(name, found):
                del found[name]
        old = self._entries
        dirty = [path for path, stamp in found.items() if _stamp(old.get(path)) != stamp]
        try:
            read = self._read(dirty, found, certain_before, on_progress)
            now = {path: entry for path, entry in read.items() if entry is not None}
            now = {**old, **now}
            self._note(
                read, [path for path in old if path not in found and not is_hidden(path, now)]
            )
        except OSError as error:
            raise SnapshotFailed(
                f"No snapshot of {self.root} could be taken: {error.strerror} ({_shown(error)})."
            ) from error
        is_certain = all(_stamp(self._entries.get(path)) for path in dirty)
        self._scanned = scanned if is_certain else None
        return self.last

    def _is_empty(self, name: bytes, found: Mapping[bytes, bytes]) -> bool:
        if any(path.startswith(name + b"/") for path in found):
            return False
        try:
            there = os.lstat(os.path.join(os.fsencode(self.root), name))
        except OSError:
            return False
        return stat.S_ISDIR(there.st_mode) or (stat.S_ISREG(there.st_mode) and not there.st_size)

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
        if old := known.get(blob):
            number, offset = old.pack, old.offset
        else:
            number, offset = pack.number, pack.add(blob, data)
        return Entry(path, stamp_of(found), found.st_mode, len(data), blob, number, offset)

    def _state(self, number: int) -> dict[bytes, Entry]:
        """Return what was there at a snapshot, by replaying the log up to it."""
        if number == 0:
            return {}
        if number == self.last:
            return self._entries
        if not 0 < number < self.last:
            raise SnapshotFailed(f"There is no snapshot {number} of {self.root}.")
        entries: dict[bytes, Entry] = {}
        found = 0
        for record in self._log.read_up_to(number):
            record.play(entries)
            found = record.number
        if found != number:
            raise SnapshotFailed(
                f"What was in {self.root} then is not kept any more: `octavo gc` has let it go."
                " What existed nowhere else is in octavo's archive."
            )
        return entries

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            fd = lock(self._folder)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            times = times_begun(fd)
            if times != self._times_begun:  # old ones were let go, and the list is another one
                self._log = SnapshotLog(self._folder / LIST)
                self._entries, self._scanned, self.last = {}, None, 0
                self._times_begun = times
            if not self.last:
                clear(self._folder)
            for record in self._log.read_new():
                record.play(self._entries)
                self.last = record.number
                self._scanned = None
            yield
        finally:
            os.close(fd)

    def _unwritable(self, error: OSError) -> SnapshotFailed:
        return SnapshotFailed(f"Snapshots cannot be kept in {self._folder}: {error.strerror}.")


def _content_of(folder: int, name: bytes, limit_bytes: int) -> tuple[bytes, os.stat_result] | None:
    """Read a file that may be written to at the same time; None where it never holds still.

    Its stamp is certain only if it was the same before and after.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(name, flags, dir_fd=folder)
    try:
        before = os.fstat(fd)
        for _ in range(TRIES):
            if not stat.S_ISREG(before.st_mode) or before.st_size > limit_bytes:
                return None
            data = _read_to(fd, before.st_size)
            after = os.fstat(fd)
            if after.st_ctime_ns == before.st_ctime_ns and len(data) == after.st_size:
                return data, after
            before = after
    finally:
        os.close(fd)
    return None


def _read_to(fd: int, size_bytes: int) -> bytes:
    """Return a file's content as far as its size went a moment ago."""
    data = os.pread(fd, size_bytes, 0)
    while len(data) < size_bytes and (more := os.pread(fd, size_bytes - len(data), len(data))):
        data += more
    return data


def _stamp(entry: Entry | None) -> bytes:
    return b"" if entry is None else entry.stamp


def _shown(error: OSError) -> str:
    name = error.filename
    return os.fsdecode(name) if isinstance(name, bytes | str) else "while writing"
