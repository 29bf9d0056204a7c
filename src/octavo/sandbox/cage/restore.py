"""Protected names put back as they were, where they cannot be made read-only.

What runs or decides later is remembered before a command and compared when nothing of it is left:
settings and hooks of git, not its objects and branches; everything in the other protected
directories. Directories are entered without following links, so nothing planted meanwhile leads
the restoring elsewhere.
"""

from __future__ import annotations

import os
import stat

_GIT_SETTINGS = frozenset(("config", "config.worktree", "commondir", "gitdir"))
_GIT_SCRIPTS = frozenset(("hooks", "info"))
_GIT_DATA = frozenset(("objects", "refs", "logs", "lfs", "rr-cache"))
_FILE_BYTES, _ALL_BYTES, _FILES = 1 << 20, 16 << 20, 4000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Kept = tuple[str, int, bytes]
"""("file", mode, content) or ("link", 0, target)."""


class Watch:
    """What the protected names of some roots held when the watch began."""

    def __init__(self, roots: list[str], names: list[str]) -> None:
        self._tops = [_Top(root, name) for root in roots for name in names]

    def put_back(self) -> None:
        """Make everything as it was, as far as that is possible, and end the watch."""
        for top in self._tops:
            try:
                top.put_back()
            except OSError:
                continue
            finally:
                top.close()


class _Top:
    """One protected name at the top of one root."""

    def __init__(self, root: str, name: str) -> None:
        self._root, self._name = root, name
        self._directory = -1
        self._kept: dict[str, Kept] = {}
        try:
            self._parent = os.open(root, _DIRECTORY)
        except OSError:
            self._parent = -1
            return
        self._kept = _remember(self._parent, name)
        try:
            self._directory = os.open(name, _DIRECTORY, dir_fd=self._parent)
        except OSError:
            self._directory = -1

    def close(self) -> None:
        for fd in (self._parent, self._directory):
            if fd >= 0:
                os.close(fd)

    def put_back(self) -> None:
        if self._parent < 0:
            return
        if self._directory >= 0:
            self._bring_back()
        now = _remember(self._parent, self._name)
        for path in sorted(now.keys() - self._kept.keys()):
            _remove(self._parent, path)
        for path, kept in self._kept.items():
            if now.get(path) != kept:
                _write(self._parent, path, kept)
        if self._directory < 0 and not self._kept:
            _remove(self._parent, self._name)

    def _bring_back(self) -> None:
        """Where the directory was moved away, move it back over what took its place."""
        ours = os.fstat(self._directory)
        try:
            there = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return
        except FileNotFoundError:
            pass
        if ours.st_nlink == 0:
            return
        moved = os.readlink(f"/proc/self/fd/{self._directory}")
        _remove(self._parent, self._name)
        os.rename(moved, self._name, dst_dir_fd=self._parent)


def _remember(parent: int, name: str) -> dict[str, Kept]:
    """Return what is watched at and below `name`, by path from `parent`."""
    found: dict[str, Kept] = {}
    left = _ALL_BYTES
    todo = [name]
    while todo and len(found) < _FILES:
        path = todo.pop()
        try:
            state = os.stat(path, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                directory = os.open(path, _DIRECTORY, dir_fd=parent)
                try:
                    names = os.listdir(directory)
                finally:
                    os.close(directory)
                todo += [f"{path}/{entry}" for entry in names if _is_watched(path, entry)]
            elif stat.S_ISLNK(state.st_mode):
                found[path] = ("link", 0, os.fsencode(os.readlink(path, dir_fd=parent)))
            elif stat.S_ISREG(state.st_mode) and state.st_size <= min(_FILE_BYTES, left):
                left -= state.st_size
                found[path] = ("file", stat.S_IMODE(state.st_mode), _read(parent, path))
        except OSError:
            continue
    return found


def _is_watched(path: str, entry: str) -> bool:
    """Whether an entry of a protected directory is remembered, or may hold what is."""
    parts = path.split("/")
    if parts[0] != ".git" or any(part in _GIT_SCRIPTS for part in parts):
        return True
    if entry in _GIT_SETTINGS or entry in _GIT_SCRIPTS:
        return True
    return entry in ("modules", "worktrees") or (len(parts) > 1 and entry not in _GIT_DATA)


def _read(parent: int, path: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags, dir_fd=parent)
    try:
        return os.read(fd, _FILE_BYTES)
    finally:
        os.close(fd)


def _write(parent: int, path: str, kept: Kept) -> None:
    directory = _open_directory(parent, path.split("/")[:-1])
    name = path.rpartition("/")[2]
    kind, mode, data = kept
    try:
        _remove(directory, name)
        if kind == "link":
            os.symlink(os.fsdecode(data), name, dir_fd=directory)
            return
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            os.write(fd, data)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError:
        return
    finally:
        os.close(directory)


def _open_directory(parent: int, names: list[str]) -> int:
    """Open a directory below `parent`, made again where it is gone or something else."""
    fd = os.dup(parent)
    for name in names:
        try:
            deeper = os.open(name, _DIRECTORY, dir_fd=fd)
        except OSError:
            _remove(fd, name)
            os.mkdir(name, dir_fd=fd)
            deeper = os.open(name, _DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    return fd


def _remove(parent: int, path: str) -> None:
    """Remove whatever is at `path`, without following links."""
    try:
        os.unlink(path, dir_fd=parent)
        return
    except FileNotFoundError:
        return
    except OSError:
        pass
    try:
        directory = os.open(path, _DIRECTORY, dir_fd=parent)
    except OSError:
        return
    try:
        for name in os.listdir(directory):
            _remove(directory, name)
    finally:
        os.close(directory)
    os.rmdir(path, dir_fd=parent)
