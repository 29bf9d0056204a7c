"""One file about to change: its new content, what was there before, and the way back.

Every step goes through the descriptor of the file's directory, so it stays in that directory.
New content has no name until it is needed, and what was there is kept under a hidden one until
the whole batch stands; a kill at any moment leaves at most such a name.
"""

from __future__ import annotations

import errno
import os
import stat

from . import abi

_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EPERM)
"""How file systems say that they have no nameless files."""


class Target:
    """One file about to change, in a directory that is held open."""

    def __init__(self, parent: int, name: str, index: int, real: str) -> None:
        self.real = real
        self.index = index
        self._parent = parent
        self._name = name
        stem = os.urandom(6).hex()
        self._temporary = f".octavo-{stem}-{index}"
        self._data = -1
        self._named = False
        """The new content has the temporary name and nothing else."""
        self._kept: str | None = None
        """The name under which what was there before is kept."""
        self._placed = False
        """The new content has the file's own name."""

    def check_writable(self, *, only_mount: bool) -> None:
        """Refuse early what the kernel would refuse in the end.

        To delete a file one need not be able to write it, so then only the mount counts.
        """
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            os.close(os.open(self._name, flags, dir_fd=self._parent))
        except OSError as error:
            harmless = error.errno in (errno.ENOENT, errno.ELOOP, errno.ETXTBSY)
            if not harmless and (not only_mount or error.errno == errno.EROFS):
                raise

    def write(self, data: bytes, mode: int | None) -> None:
        """Put the content on disk, with the mode and owner of the file it replaces."""
        self._open()
        view = memoryview(data)
        while view:
            view = view[os.write(self._data, view) :]
        try:
            old = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            if mode is not None:
                os.fchmod(self._data, mode)
            return
        self._take_owner(old)
        self._take_attributes()
        os.fchmod(self._data, stat.S_IMODE(old.st_mode) if mode is None else mode)

    def _open(self) -> None:
        unnamed = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
        try:
            self._data = os.open(".", unnamed, 0o644, dir_fd=self._parent)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            named = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._data = os.open(self._temporary, named, 0o644, dir_fd=self._parent)
            self._named = True

    def _take_owner(self, old: os.stat_result) -> None:
        new = os.fstat(self._data)
        if (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid):
            return
        try:
            os.fchown(self._data, -1 if new.st_uid == old.st_uid else old.st_uid, old.st_gid)
        except PermissionError:
            return

    def _take_attributes(self) -> None:
        """Carry access lists and the like over, as far as that is possible."""
        path = f"/proc/self/fd/{self._parent}/{self._name}"
        try:
            for name in os.listxattr(path, follow_symlinks=False):
                os.setxattr(self._data, name, os.getxattr(path, name, follow_symlinks=False))
        except OSError:
            return

    def replace(self) -> None:
        """Give the content the file's name; what was there is kept under another."""
        if not self._named:
            source = f"/proc/self/fd/{self._data}"
            os.link(source, self._temporary, dst_dir_fd=self._parent, follow_symlinks=True)
            self._named = True
        if self._exists():
            self._swap()
        else:
            self._place_new()

    def _exists(self) -> bool:
        try:
            os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _swap(self) -> None:
        try:
            abi.renameat2(self._parent, self._temporary, self._name, abi.RENAME_EXCHANGE)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            self._keep()
            self._rename(self._temporary, self._name)
        else:
            self._kept = self._temporary
        self._named, self._placed = False, True

    def _place_new(self) -> None:
        try:
            abi.renameat2(self._parent, self._temporary, self._name, abi.RENAME_NOREPLACE)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            self._rename(self._temporary, self._name)
        self._named, self._placed = False, True

    def remove(self) -> None:
        self._keep()

    def _keep(self) -> None:
        kept = f"{self._temporary}-old"
        self._rename(self._name, kept)
        self._kept = kept

    def _rename(self, old: str, new: str) -> None:
        os.rename(old, new, src_dir_fd=self._parent, dst_dir_fd=self._parent)

    def undo(self) -> None:
        """Put back what was there."""
        if self._kept is not None:
            self._rename(self._kept, self._name)
            self._kept = None
        elif self._placed:
            os.unlink(self._name, dir_fd=self._parent)
        self._placed = False

    def abandon(self, error: OSError) -> str:
        """Leave the old content under the name it has now, and tell where."""
        kept, self._kept = self._kept, None
        text = f"{self.real} could not be put back ({error.strerror})"
        return f"{text}; its old content is in {kept} beside it." if kept else f"{text}."

    def tidy(self) -> None:
        """Remove every name but the file's own."""
        if self._named:
            self._unlink(self._temporary)
        if self._kept is not None:
            self._unlink(self._kept)
        self._named, self._kept = False, None

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._parent)
        except OSError:
            return

    def close(self) -> None:
        if self._data >= 0:
            os.close(self._data)
        os.close(self._parent)
