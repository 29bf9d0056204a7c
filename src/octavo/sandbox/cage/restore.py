"""Protected names put back as they were, where they cannot be made read-only.

What runs or decides later is remembered before a command and compared when nothing of it is left:
settings and hooks of git, not its objects and branches; everything in the other protected
directories. This stands outside the walls while other commands may still run, so every step goes
through the descriptor of a directory and follows no link: nothing swapped meanwhile leads it
elsewhere. Files of more than a mebibyte are not brought back.
"""

from __future__ import annotations

import os
import stat

_GIT_SETTINGS = frozenset(("config", "config.worktree", "commondir", "gitdir"))
_GIT_SCRIPTS = frozenset(("hooks", "info"))
_GIT_DATA = frozenset(("objects", "refs", "logs", "lfs", "rr-cache"))
_FILE_BYTES, _ALL_BYTES, _ENTRIES, _DEPTH = 1 << 20, 16 << 20, 20_000, 40
_OTHERS = 200
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = _OPEN | os.O_DIRECTORY
_HELD = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_USABLE = 0o700


class Directory:
    """A directory as it was: its mode, and the nodes of what is watched in it."""

    def __init__(self, mode: int, nodes: dict[str, Node]) -> None:
        self.mode = mode
        self.nodes = nodes


LEFT = b"left alone"
"""What is too large or too strange to be put back."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    Node = Directory | tuple[int, int, bytes] | str | bytes
    """A directory; a file's mode, number of names and content; a link's target; or `LEFT`."""


class Watch:
    """What the protected names of some roots held when the watch began. `close` it."""

    def __init__(self, roots: list[str], names: list[str], others: Sequence[str] = ()) -> None:
        """Watch `names` at the top of `roots`, and `others`, which are paths below them."""
        self._tops = [_Top(root, name) for root in roots for name in names]
        self._tops += [_Top(*os.path.split(path)) for path in others[:_OTHERS]]

    def put_back(self) -> None:
        """Make everything as it was, as far as that is possible."""
        for top in self._tops:
            try:
                top.put_back(self._open)
            except OSError:
                continue

    def _open(self, path: str) -> int:
        """Open a directory of one of the roots, following no link."""
        for top in self._tops:
            if path == top.root or path.startswith(top.root + "/"):
                return top.open(path[len(top.root) + 1 :])
        raise FileNotFoundError(path)

    def close(self) -> None:
        for top in self._tops:
            top.close()


class _Top:
    """One protected name at the top of one root."""

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self._name = name
        self._directory = self._parent = -1
        self._kept: Node | None = LEFT
        try:
            self._parent = os.open(root, _DIRECTORY)
            self._kept = _Memory().node(self._parent, name, name)
            if isinstance(self._kept, Directory):
                self._directory = os.open(name, _HELD, dir_fd=self._parent)
        except OSError:
            return

    def close(self) -> None:
        for fd in (self._parent, self._directory):
            if fd >= 0:
                os.close(fd)
        self._parent = self._directory = -1

    def open(self, path: str) -> int:
        """Open the directory at `path` below the root, following no link."""
        fd = os.dup(self._parent)
        for name in filter(None, path.split("/")):
            try:
                deeper = os.open(name, _HELD, dir_fd=fd)
            finally:
                os.close(fd)
            fd = deeper
        return fd

    def put_back(self, find: Callable[[str], int]) -> None:
        if self._parent < 0:
            return
        _make_usable(self._parent)
        if self._directory >= 0:
            try:
                self._bring_back(find)
            except OSError:
                pass  # what is remembered is made anew
        _restore(self._parent, self._name, self._name, self._kept)

    def _bring_back(self, find: Callable[[str], int]) -> None:
        """Where the directory was moved away, move it back; what took its place is removed."""
        if self._is_ours(self._parent, self._name) or os.fstat(self._directory).st_nlink == 0:
            return
        parent, _, name = os.readlink(f"/proc/self/fd/{self._directory}").rpartition("/")
        source = find(parent)
        try:
            if not self._is_ours(source, name):
                return
            aside = _free_name()
            try:
                _move(self._parent, self._name, self._parent, aside)
            except FileNotFoundError:
                aside = ""
            _move(source, name, self._parent, self._name)
            if aside:
                _remove(self._parent, aside)
        finally:
            os.close(source)

    def _is_ours(self, parent: int, name: str) -> bool:
        try:
            there = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except OSError:
            return False
        ours = os.fstat(self._directory)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


class _Memory:
    """Remembers what is watched, within bounds."""

    def __init__(self) -> None:
        self._left_bytes, self._left_entries = _ALL_BYTES, _ENTRIES

    def node(self, parent: int, name: str, path: str) -> Node | None:
        """Return what is at `name`, which is `path` from the root; None if there is nothing."""
        try:
            state = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISLNK(state.st_mode):
                return os.readlink(name, dir_fd=parent)
            if stat.S_ISDIR(state.st_mode):
                return self._directory(parent, name, path, stat.S_IMODE(state.st_mode))
            if stat.S_ISREG(state.st_mode) and state.st_size <= min(_FILE_BYTES, self._left_bytes):
                self._left_bytes -= state.st_size
                return _read(parent, name, state.st_size)
        except FileNotFoundError:
            return None
        except OSError:
            pass
        return LEFT

    def _directory(self, parent: int, name: str, path: str, mode: int) -> Node:
        if path.count("/") >= _DEPTH:
            return LEFT
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            names = [entry for entry in os.listdir(fd) if _is_watched(path, entry)]
            self._left_entries -= len(names)
            if self._left_entries < 0:
                return LEFT
            nodes = {entry: self.node(fd, entry, f"{path}/{entry}") for entry in names}
        finally:
            os.close(fd)
        return Directory(mode, {name: node for name, node in nodes.items() if node is not None})


def _is_watched(path: str, entry: str) -> bool:
    """Whether an entry of a protected directory is remembered, or may hold what is."""
    parts = path.split("/")
    if parts[0] != ".git" or any(part in _GIT_SCRIPTS for part in parts):
        return True
    if entry in _GIT_SETTINGS or entry in _GIT_SCRIPTS:
        return True
    return entry in ("modules", "worktrees") or (len(parts) > 1 and entry not in _GIT_DATA)


def _read(parent: int, name: str, size: int) -> Node:
    """Return a regular file, if it still has `size`."""
    fd = os.open(name, _OPEN, dir_fd=parent)
    try:
        state = os.fstat(fd)
        data = os.read(fd, size + 1) if stat.S_ISREG(state.st_mode) else b""
        if not stat.S_ISREG(state.st_mode) or len(data) != size:
            return LEFT
        return stat.S_IMODE(state.st_mode), state.st_nlink, data
    finally:
        os.close(fd)


def _restore(parent: int, name: str, path: str, node: Node | None) -> None:
    """Make `name` what it was; what cannot be put back does not keep the rest from it."""
    if node is None:
        _remove(parent, name)
    elif isinstance(node, Directory):
        fd = _enter(parent, name)
        try:
            gone = [entry for entry in os.listdir(fd) if entry not in node.nodes]
            steps = [(entry, None) for entry in gone if _is_watched(path, entry)]
            for entry, inner in [*steps, *node.nodes.items()]:
                try:
                    _restore(fd, entry, f"{path}/{entry}", inner)
                except OSError:
                    continue
            if stat.S_IMODE(os.fstat(fd).st_mode) != node.mode:
                os.fchmod(fd, node.mode)
        finally:
            os.close(fd)
    elif not isinstance(node, bytes) and not _is_still(parent, name, node):
        _remove(parent, name)
        _make(parent, name, node)


def _is_still(parent: int, name: str, node: Node) -> bool:
    try:
        state = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if isinstance(node, str):
            return stat.S_ISLNK(state.st_mode) and os.readlink(name, dir_fd=parent) == node
        return stat.S_ISREG(state.st_mode) and _read(parent, name, state.st_size) == node
    except OSError:
        return False


def _make(parent: int, name: str, node: tuple[int, int, bytes] | str) -> None:
    if isinstance(node, str):
        os.symlink(node, name, dir_fd=parent)
        return
    mode, _, data = node
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=parent)
    try:
        os.write(fd, data)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def _enter(parent: int, name: str) -> int:
    """Open the directory `name`, made anew where it is gone or something else."""
    try:
        return _open_directory(parent, name)
    except OSError:
        _remove(parent, name)
        os.mkdir(name, 0o700, dir_fd=parent)
        return _open_directory(parent, name)


def _open_directory(parent: int, name: str) -> int:
    """Open a directory so that its entries can be changed, whatever its mode was."""
    held = os.open(name, _HELD, dir_fd=parent)
    try:
        _make_usable(held)
        return os.open(".", _DIRECTORY, dir_fd=held)
    finally:
        os.close(held)


def _make_usable(directory: int) -> None:
    mode = stat.S_IMODE(os.fstat(directory).st_mode)
    if mode & _USABLE != _USABLE:
        os.chmod(f"/proc/self/fd/{directory}", mode | _USABLE)


def _free_name() -> str:
    return f".octavo-{os.urandom(6).hex()}"


def _move(source: int, old: str, target: int, new: str) -> None:
    """Rename; a directory has to be writable to get another parent."""
    try:
        os.close(_open_directory(source, old))
    except OSError:
        pass  # it is none, or is not ours
    os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


def _remove(parent: int, name: str) -> None:
    """Remove whatever is at `name`: no link is followed, and no tree is too deep.

    Directories are moved to the top of the tree before they are emptied, so one step is enough to
    reach any of them.
    """
    if _is_removed(parent, name):
        return
    top = _open_directory(parent, name)
    try:
        left = [entry for entry in os.listdir(top) if not _is_removed(top, entry)]
        while left:
            inner = left.pop()
            fd = _open_directory(top, inner)
            try:
                for entry in os.listdir(fd):
                    if not _is_removed(fd, entry):
                        left.append(_free_name())
                        _move(fd, entry, top, left[-1])
            finally:
                os.close(fd)
            os.rmdir(inner, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _is_removed(parent: int, name: str) -> bool:
    """Remove a file or an empty directory; return whether nothing is left at `name`."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except OSError:
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:
            return False
    return True


if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
