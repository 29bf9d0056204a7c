"""Directories looked at, made, copied, removed and watched inside a cage.

What `files` is for the content of single files, this is for what is around them. It runs in a
process that is confined already, so the kernel decides what may be touched. What is asked here
beforehand is asked so that nothing stops half-way: a tree with something protected in it is not
begun to be removed.

Directories that are changed are held as descriptors that no link leads to.
"""

from __future__ import annotations

import errno
import os
import stat

from . import abi
from .files import Refused, around, is_within, open_directory, real_path, sentence

STAT, LIST, MAKE, REMOVE, COPY, WATCH, WALK = range(7)
IS_DIRECTORY, IS_FILE, IS_LINK = 1, 2, 4
MAX_ENTRIES = 100_000
"""Of one directory."""
MAX_DEPTH = 200
"""Each level holds a descriptor."""
_COPY_BYTES = 1 << 20

Answer = tuple[bytes, tuple[int, ...]]
"""What is told, and the descriptors that go with it."""


def do(verb: int, request: tuple[object, ...], *, roots: list[str], held: Sequence[str]) -> Answer:
    """Do one thing.

    Args:
        verb, request: STAT path; LIST path; MAKE path, parents too; REMOVE path, with all in it,
            also when it is missing; COPY from, to, with all in it; WATCH path; WALK path, most
            entries.
        roots: trees that may be changed; the kernel has the last word.
        held: paths in them that may not be, where the kernel does not know it.

    Raises:
        Refused: `index` is 1 where it is about the second path.
    """
    return _VERBS[verb](_Walls(roots, held), *request)


class _Walls:
    """What may be changed."""

    def __init__(self, roots: list[str], held: Sequence[str]) -> None:
        self._roots = [root.rstrip("/") for root in roots]
        self._held = held

    def check(self, real: str, index: int = 0) -> None:
        """Raise Refused if `real` is not to be written at all."""
        if not any(is_within(real, root) for root in self._roots):
            raise Refused(index, "outside", f"{real} is outside the writable directories.")
        if len(around(real, self._held)) > len(around(real, self._roots)):
            raise Refused(index, "outside", f"{real} is protected.")

    def check_whole(self, real: str) -> None:
        """Raise Refused if anything in the tree `real` is kept by somebody else."""
        kept = [path for path in self._held if os.path.lexists(path)]
        for place in (*_mount_points(), *self._roots, *kept):
            if is_within(place, real):
                what = "It" if place == real else place
                raise Refused(0, "outside", f"{real} is not removed: {what} is protected.")


def _stat(_: _Walls, path: str) -> Answer:
    try:
        state = os.lstat(path)
        flags = IS_LINK if stat.S_ISLNK(state.st_mode) else 0
        if flags:
            try:
                state = os.stat(path)
            except FileNotFoundError:
                return bytes((flags,)) + _ms(state), ()
    except OSError as error:
        raise _refusal(path, error) from None
    return bytes((flags | _kind(state),)) + _ms(state), ()


def _kind(state: os.stat_result) -> int:
    return stat.S_ISDIR(state.st_mode) * IS_DIRECTORY | stat.S_ISREG(state.st_mode) * IS_FILE


def _ms(state: os.stat_result) -> bytes:
    return (state.st_mtime_ns // 1_000_000).to_bytes(8, "little", signed=True)


def _list(_: _Walls, path: str) -> Answer:
    found = bytearray()
    count = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                count += 1
                if count > MAX_ENTRIES:
                    text = f"{path} has more than {MAX_ENTRIES} entries, which is too many to list."
                    raise Refused(0, "io", text)
                flags = entry.is_dir() * IS_DIRECTORY | entry.is_file() * IS_FILE
                found += bytes((flags,)) + os.fsencode(entry.name) + b"\0"
    except OSError as error:
        raise _refusal(path, error) from None
    file = os.memfd_create("octavo", os.MFD_CLOEXEC)
    listed = memoryview(found)
    while listed:
        listed = listed[os.write(file, listed) :]
    return b"", (file,)


def _make(walls: _Walls, path: str, parents: bool) -> Answer:
    real = os.path.realpath(path)
    if os.path.lexists(real) and not (parents and os.path.isdir(real)):
        raise Refused(0, "exists", f"{real} exists already.")
    walls.check(real)
    try:
        if parents:
            os.close(open_directory(real, make=_make_one))
        else:
            parent = open_directory(os.path.dirname(real))
            try:
                os.mkdir(os.path.basename(real), dir_fd=parent)
            finally:
                os.close(parent)
    except OSError as error:
        raise _refusal(real, error) from None
    return b"", ()


def _make_one(parent: int, name: str) -> None:
    os.mkdir(name, dir_fd=parent)


def _remove(walls: _Walls, path: str, recursive: bool, force: bool) -> Answer:
    real = real_path(path, follow=False)
    try:
        state = os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        if force:
            return b"", ()
        raise Refused(0, "missing", f"{real} does not exist.") from None
    except OSError as error:
        raise _refusal(real, error) from None
    walls.check(real)
    walls.check_whole(real)
    try:
        parent = open_directory(os.path.dirname(real))
        try:
            _remove_entry(parent, os.path.basename(real), state, recursive, MAX_DEPTH)
        finally:
            os.close(parent)
    except OSError as error:
        raise _refusal(real, error) from None
    return b"", ()


def _remove_entry(
    parent: int, name: str, state: os.stat_result, recursive: bool, depth: int
) -> None:
    if not stat.S_ISDIR(state.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if recursive:
        with _Directory(name, parent, depth) as fd:
            for inside in os.listdir(fd):
                state = os.stat(inside, dir_fd=fd, follow_symlinks=False)
                _remove_entry(fd, inside, state, True, depth - 1)
    os.rmdir(name, dir_fd=parent)


class _Directory:
    """A directory, open while the context lasts; never through a link, never too deep."""

    def __init__(self, name: str, parent: int, depth: int) -> None:
        if depth == 0:
            raise OSError(errno.ELOOP, f"directories more than {MAX_DEPTH} deep")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(name, flags, dir_fd=parent)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *failure: object) -> None:
        os.close(self._fd)


def _copy(walls: _Walls, source: str, target: str, recursive: bool) -> Answer:
    real = real_path(source, follow=False)
    try:
        state = os.lstat(real)
    except OSError as error:
        raise _refusal(real, error) from None
    is_directory = stat.S_ISDIR(state.st_mode)
    to = real_path(target, follow=not stat.S_ISLNK(state.st_mode))
    if is_directory and not recursive:
        raise Refused(0, "directory", f"{real} is a directory, which `recursive` is needed for.")
    if is_directory and is_within(to, real):
        raise Refused(1, "io", f"{real} cannot be copied into itself, to {to}.")
    walls.check(to, 1)
    try:
        out = open_directory(os.path.dirname(real))
        try:
            into = open_directory(os.path.dirname(to))
        except OSError as error:
            os.close(out)
            raise _refusal(to, error, 1) from None
        try:
            names = os.path.basename(real), os.path.basename(to)
            _copy_entry((out, names[0]), (into, names[1]), state, MAX_DEPTH)
        finally:
            os.close(out)
            os.close(into)
    except OSError as error:
        raise _refusal(to, error, 1) from None
    return b"", ()


def _copy_entry(
    source: tuple[int, str], target: tuple[int, str], state: os.stat_result, depth: int
) -> None:
    """Copy what `state` is of; each of `source` and `target` is an open directory and a name."""
    (out, name), (into, new) = source, target
    if stat.S_ISDIR(state.st_mode):
        with _Directory(name, out, depth) as fd:
            try:
                os.mkdir(new, stat.S_IMODE(state.st_mode) | stat.S_IRWXU, dir_fd=into)
            except FileExistsError:
                pass
            with _Directory(new, into, depth) as below:
                for inside in os.listdir(fd):
                    of = os.stat(inside, dir_fd=fd, follow_symlinks=False)
                    _copy_entry((fd, inside), (below, inside), of, depth - 1)
    elif stat.S_ISLNK(state.st_mode):
        leads_to = os.readlink(name, dir_fd=out)
        _put(into, new, lambda aside: os.symlink(leads_to, aside, dir_fd=into))
    elif stat.S_ISREG(state.st_mode):
        _put(into, new, lambda aside: _copy_file(out, name, into, aside))
    else:
        raise OSError(errno.EINVAL, f"{name} is neither a file, a directory nor a link")


def _put(into: int, name: str, make: Callable[[str], None]) -> None:
    """Make something under another name first, so that what is there stays until it is whole."""
    aside = f".octavo-{os.urandom(6).hex()}"
    try:
        make(aside)
        os.rename(aside, name, src_dir_fd=into, dst_dir_fd=into)
    except BaseException:
        try:
            os.unlink(aside, dir_fd=into)
        except OSError:
            pass
        raise


def _copy_file(out: int, name: str, into: int, new: str) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=out)
    try:
        state = os.fstat(reading)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, f"{name} is not a regular file any more")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(new, flags, 0o600, dir_fd=into)
        try:
            while data := os.read(reading, _COPY_BYTES):
                view = memoryview(data)
                while view:
                    view = view[os.write(writing, view) :]
            os.fchmod(writing, stat.S_IMODE(state.st_mode) & 0o777)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _watch(_: _Walls, path: str) -> Answer:
    """Tell what is watched (1: its entries; 0: one of them) and its real path."""
    real = os.path.realpath(path)
    is_directory = os.path.isdir(real)
    folder = real if is_directory else os.path.dirname(real)
    try:
        directory = open_directory(folder)
        try:
            watching = abi.inotify(f"/proc/self/fd/{directory}")
        finally:
            os.close(directory)
    except OSError as error:
        raise _refusal(folder, error) from None
    return bytes((is_directory,)) + os.fsencode(real), (watching,)


def _walk(_: _Walls, path: str, limit: int) -> Answer:
    """List files and directories below `path`, the near ones first; no link is followed.

    What cannot be read is left out, and so is what belongs to git.
    """
    found: list[bytes] = []
    folders, count = [""], 0
    while folders and count < limit:
        deeper: list[str] = []
        for folder in folders:
            for name, is_directory in _entries_of(f"{path}/{folder}"):
                count += 1
                if count > limit:
                    break
                inside = f"{folder}{name}"
                if is_directory:
                    deeper.append(f"{inside}/")
                found.append(os.fsencode(f"{inside}/" if is_directory else inside))
        folders = deeper
    file = os.memfd_create("octavo", os.MFD_CLOEXEC)
    listed = memoryview(b"\0".join(found))
    while listed:
        listed = listed[os.write(file, listed) :]
    return b"", (file,)


def _entries_of(folder: str) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (e.name, e.is_dir(follow_symlinks=False)) for e in entries if e.name != ".git"
            )
    except OSError:
        return []


_VERBS: dict[int, Callable[..., Answer]] = {
    STAT: _stat,
    LIST: _list,
    MAKE: _make,
    REMOVE: _remove,
    COPY: _copy,
    WATCH: _watch,
    WALK: _walk,
}


def _mount_points() -> list[str]:
    """Return what is mounted: every wall inside a writable tree is a mount."""
    points: list[str] = []
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            point = line.split(b" ", 5)[4]
            for number in (b"040", b"011", b"012", b"134"):
                point = point.replace(b"\\" + number, bytes((int(number, 8),)))
            points.append(os.fsdecode(point))
    return points


def _refusal(path: str, error: OSError, index: int = 0) -> Refused:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return Refused(index, "missing", sentence(path, error))
        case errno.EEXIST:
            return Refused(index, "exists", sentence(path, error))
        case errno.EISDIR:
            return Refused(index, "directory", sentence(path, error))
        case errno.EROFS:
            return Refused(index, "outside", f"{path} is read-only under the policy.")
        case errno.EBUSY:
            return Refused(index, "outside", f"{path} is protected.")
        case _:
            return Refused(index, "io", sentence(path, error))


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
