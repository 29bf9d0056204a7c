"""One writer a thread.

A lock is a small file beside the thread's log, held with flock(2): it is free the moment its
holder is gone, however it went, so there is no such thing as a stale lock. What the file says
(process and command) is for the sentence a second writer is shown, and decides nothing.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import msgspec

from octavo.protocol.errors import ThreadBusy


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    command: str


class Lock:
    """The right to write to one thread; ends with `release` or with the process."""

    def __init__(self, path: Path, fd: int, *, placed: bool = True) -> None:
        self.path = path
        self._fd = fd
        self._placed = placed

    @classmethod
    def take(cls, path: Path) -> Lock:
        """Take the lock at `path` without waiting.

        Raises:
            ThreadBusy: somebody has it.
            OSError: the file cannot be made, or its file system knows no locks.
        """
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if is_at(path, fd):
                    _sign(fd)
                    return cls(path, fd)
            except BlockingIOError:
                busy = _busy(fd)
                os.close(fd)
                raise busy from None
            except OSError:
                os.close(fd)
                raise
            os.close(fd)  # its last holder removed it between our two calls; make a new one

    @classmethod
    def reserve(cls, path: Path) -> Lock:
        """Make the lock of a thread that nobody can know of yet; `place` gives it its name.

        Until then it is a file without a name, so a process that is killed leaves nothing behind.
        Where the file system has no such files, the lock is taken by its name at once.

        Raises:
            OSError: as `take`.
        """
        try:
            fd = os.open(path.parent, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
        except (AttributeError, OSError):
            return cls.take(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sign(fd)
        except OSError:
            os.close(fd)
            raise
        return cls(path, fd, placed=False)

    def place(self) -> None:
        """Give a reserved lock its name. A second call does nothing.

        Raises:
            ThreadBusy: somebody took the lock by that name.
            OSError: it cannot be named.
        """
        if self._placed:
            return
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # With a folder given, Python follows the link below /proc to the file itself.
                os.link(f"/proc/self/fd/{self._fd}", self.path.name, dst_dir_fd=folder)
            finally:
                os.close(folder)
        except OSError:  # no /proc, or the name is taken: by the name alone, then
            other = Lock.take(self.path)
            os.close(self._fd)
            self._fd = other._fd
        self._placed = True

    def release(self) -> None:
        """Give the lock back and remove its file. A second call does nothing."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if self._placed:
                self.path.unlink(missing_ok=True)  # while it is held, so nobody else's is removed
        except OSError:
            pass  # a file that stays is free all the same
        finally:
            os.close(fd)


def holder(path: Path) -> str | None:
    """Return who holds the lock at `path`, in words; None when nobody does.

    Only looks: a writer that comes at this moment is not kept out.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _who(fd) if _is_held(fd) else None
    finally:
        os.close(fd)


def _is_held(fd: int) -> bool:
    """Whether somebody has the lock; where the kernel does not list them, by trying to share it.

    An overlay lists a file under another number than it shows, so who signed it counts as well.
    """
    state = os.fstat(fd)
    place = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    signed = _signed(fd)
    marks = {place, "" if signed is None else str(signed.pid)}
    try:
        with open("/proc/locks", encoding="ascii") as listed:
            return any("FLOCK" in line and marks & set(line.split()[1:]) for line in listed)
    except OSError:
        pass
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def is_at(path: Path, fd: int) -> bool:
    """True while `path` still names the open file; False once it was removed or replaced."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def _sign(fd: int) -> None:
    words = [os.path.basename(sys.argv[0]) or "python", *sys.argv[1:2]]
    command = " ".join(words).encode(errors="replace").decode()
    os.ftruncate(fd, 0)
    os.pwrite(fd, msgspec.json.encode(_Holder(os.getpid(), command[:200])), 0)


def _who(fd: int) -> str:
    signed = _signed(fd)
    if signed is None:
        return "another process"  # it has not signed yet
    return f"process {signed.pid} ({signed.command})"


def _signed(fd: int) -> _Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=_Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _busy(fd: int) -> ThreadBusy:
    return ThreadBusy(
        f"The thread is in use by {_who(fd)}, and only one process may write to a thread.",
        hint="It can be read meanwhile. To go on with it, wait until that one ends, or end it.",
    )
