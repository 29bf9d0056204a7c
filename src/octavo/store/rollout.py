"""The log of a thread, as it is written.

One append-only file of JSON lines, one event a line, each written with one write(2) before
`append` returns: what was appended survives the death of the process, and what was synced the
death of the machine. A line that could not be written whole is taken back, or else fenced off on a
line of its own; no later event ever continues a torn one. Reading is in `reading`.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import TracebackType

import msgspec

from octavo.protocol.errors import StoreError, Unstorable
from octavo.protocol.events import Delta, Event, ItemBegan, Progress
from octavo.store.lock import Lock, holder, is_at

_FOR_EYES_ONLY = frozenset({ItemBegan, Delta, Progress})


class Rollout:
    """The one writer of a thread's log. Made by `create` or `open`, ended by `close`."""

    def __init__(self, path: Path, lock: Lock, fd: int = -1) -> None:
        self.path = path
        self._lock = lock
        self._fd = fd
        self._is_new = fd < 0
        self._is_torn = not self._is_new and _ends_torn(fd)
        self._encoder = msgspec.json.Encoder()

    @classmethod
    def create(cls, home: Path, thread_id: str, at_ms: int) -> Rollout:
        """Begin the log of a new thread under `home`, named after `at_ms` in UTC.

        The thread is locked at once, which also shows that `home` can be written to; the log
        itself is made by the first `append`, and the lock is seen from then on.

        Raises:
            StoreError: the folder cannot be made or written to.
        """
        at = time.gmtime(at_ms / 1000)
        folder = home / "sessions" / time.strftime("%Y/%m/%d", at)
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", at)
        path = folder / f"rollout-{stamp}-{thread_id}.jsonl"
        try:
            make_private(folder)
            return cls(path, Lock.reserve(_lock_path(path)))
        except OSError as failure:
            raise _unwritable(folder, failure) from failure

    @classmethod
    def open(cls, path: Path) -> Rollout:
        """Go on writing the log at `path`.

        Raises:
            ThreadBusy: another process, or another `Rollout` of this one, writes to it.
            StoreError: there is no such log, or it cannot be written to.
        """
        lock = None
        fd = -1
        try:
            if not path.is_file():  # before the lock, which would leave its file behind
                raise StoreError(f"There is no thread at {path}.", hint=_LIST_HINT)
            lock = Lock.take(_lock_path(path))
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            return cls(path, lock, fd)
        except OSError as failure:
            if fd >= 0:
                os.close(fd)
            if lock is not None:
                lock.release()
            raise _unwritable(path, failure) from failure

    def append(self, event: Event) -> None:
        """Write `event` at the end of the log. An event for eyes only is passed over.

        Raises:
            StoreError: it could not be written; the log holds what it held before, and the next
                `append` is free to try again. `Unstorable`: this event never can be.
        """
        if type(event) in _FOR_EYES_ONLY:
            return
        try:
            line = self._encoder.encode(event)
        except UnicodeEncodeError as failure:
            raise Unstorable(
                f"The thread's log could not take a name that is not UTF-8: {failure.object!r}.",
                hint="Rename it, then continue the thread.",
            ) from failure
        if b"\n" in line:  # white space inside a model item that came on several lines
            line = line.replace(b"\n", b" ")
        try:
            if self._fd < 0:
                self._fd = self._make()
            self._write(b"\n" + line + b"\n" if self._is_torn else line + b"\n")
        except OSError as failure:
            raise _unwritable(self.path, failure) from failure

    def sync(self) -> None:
        """Wait until the log is on the disk. May take as long as the disk likes: off the loop.

        Raises:
            StoreError: the disk did not take it.
        """
        if self._fd < 0:
            return
        try:
            os.fsync(self._fd)
            if self._is_new:
                _sync_folder(self.path.parent)
                self._is_new = False
        except OSError as failure:
            raise _unwritable(self.path, failure) from failure

    def close(self) -> None:
        """Let the thread go. A log in which nothing was written is removed. Does not sync."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            if os.fstat(fd).st_size == 0:
                self.path.unlink(missing_ok=True)
            os.close(fd)
        self._lock.release()

    def __enter__(self) -> Rollout:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _make(self) -> int:
        if not self._is_new:
            raise OSError(errno.EBADF, "the log was closed")
        return os.open(
            self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._fd)
        if not before.st_nlink and not is_at(self.path, self._fd):
            raise OSError(errno.ENOENT, "it was deleted while octavo wrote to it")
        try:
            done_bytes = os.write(self._fd, line)
            while done_bytes < len(line):  # a full disk takes a part, then says why
                done_bytes += os.write(self._fd, line[done_bytes:])
            self._lock.place()
        except BaseException:  # also a KeyboardInterrupt between the two
            self._take_back(before.st_size)
            raise
        self._is_torn = False

    def _take_back(self, before_bytes: int) -> None:
        try:
            os.ftruncate(self._fd, before_bytes)
        except OSError:
            self._is_torn = _ends_torn(self._fd)


def writer_of(path: Path) -> str | None:
    """Return which process writes the log at `path`, in words; None when none does."""
    return holder(_lock_path(path))


def make_private(folder: Path) -> None:
    """Make `folder` and what is missing above it, for their owner alone."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise
    except FileNotFoundError:
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


_LIST_HINT = "`octavo exec resume --last` continues the newest thread of this folder."

_ADVICE = {
    errno.ENOENT: "Begin a new thread; what this one did in the workspace is still there.",
    errno.ENOSPC: "Free some space, then continue the thread.",
    errno.EDQUOT: "Free some of your quota, then continue the thread.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f), then continue the thread.",
    errno.EROFS: "Set OCTAVO_HOME to a folder that can be written to.",
    errno.EACCES: "Make it yours to write, or set OCTAVO_HOME to a folder that is.",
    errno.EPERM: "Make it yours to write, or set OCTAVO_HOME to a folder that is.",
    errno.ENOTDIR: "Remove the file that is in the way, or set OCTAVO_HOME to another folder.",
    errno.EEXIST: "Remove the file that is in the way, or set OCTAVO_HOME to another folder.",
    errno.ENOLCK: "Set OCTAVO_HOME to a folder on a local disk.",
    errno.EOPNOTSUPP: "Set OCTAVO_HOME to a folder on a local disk.",
}


def _unwritable(path: Path, failure: OSError) -> StoreError:
    why = failure.strerror or str(failure)
    return StoreError(
        f"The thread's log could not be written ({path}): {why}.",
        hint=_ADVICE.get(failure.errno or 0, "Check the disk, then continue the thread."),
    )


def _ends_torn(fd: int) -> bool:
    size_bytes = os.fstat(fd).st_size
    return size_bytes > 0 and os.pread(fd, 1, size_bytes - 1) != b"\n"


def _lock_path(path: Path) -> Path:
    return path.with_suffix(".lock")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
