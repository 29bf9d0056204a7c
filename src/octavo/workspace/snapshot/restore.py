"""Making a folder's files what they were, without following a link and without a half-made file.

A file is written beside its place and renamed into it. A folder that does not let its owner write
is opened for the time it takes. A change that is there already is made again without harm, so a
list of changes that was cut off can be gone through once more, in either direction.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from octavo.workspace.snapshot import Change, Entry
from octavo.workspace.snapshot.below import Below

Content = Callable[[Entry], bytes]

_OWNER = stat.S_IRWXU


def apply(root: Path, changes: Sequence[Change], content: Content) -> None:
    """Make each path below `root` what its change says it is after.

    Folders that still hold what no change names stay.

    Raises:
        OSError: one of them could not be made; those before it were.
    """
    opened: dict[bytes, int] = {}
    deepest_first = sorted(changes, key=lambda one: one.path.count(b"/"), reverse=True)
    with Below(root) as below:
        for one in deepest_first:
            _open_parents(below, one.path, opened)
        for one in deepest_first:
            if one.before is not None and (one.after is None or _other_type(one)):
                _remove(below, one.path, one.before)
        for one in reversed(deepest_first):
            if one.after is not None:
                _make(below, one.path, one.after, content)
        modes = opened | {
            one.path: stat.S_IMODE(one.after.mode)
            for one in changes
            if one.after is not None and one.after.is_folder
        }
        for path in sorted(modes, key=lambda path: path.count(b"/"), reverse=True):
            _set_mode(below, path, modes[path])


def _other_type(one: Change) -> bool:
    assert one.before is not None
    assert one.after is not None
    return stat.S_IFMT(one.before.mode) != stat.S_IFMT(one.after.mode)


def _open_parents(below: Below, path: bytes, opened: dict[bytes, int]) -> None:
    """Let the owner work in the folders above `path`, and note what they allowed before."""
    names = path.split(b"/")[:-1]
    for depth in range(1, len(names) + 1):
        parent = b"/".join(names[:depth])
        if parent in opened:
            continue
        try:
            folder, name = below.folder(parent)
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        if not stat.S_ISDIR(found.st_mode):
            return
        if found.st_mode & _OWNER != _OWNER:
            opened[parent] = stat.S_IMODE(found.st_mode)
            _change_mode(folder, name, stat.S_IMODE(found.st_mode) | _OWNER)


def _remove(below: Below, path: bytes, before: Entry) -> None:
    try:
        folder, name = below.folder(path)
        if before.is_folder:
            below.forget(path.count(b"/"))
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        # Something is in the folder that is not kept, or is somebody's of this moment.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ELOOP):
            raise


def _make(below: Below, path: bytes, after: Entry, content: Content) -> None:
    folder, name = below.folder(path)
    if after.is_folder:
        try:
            os.mkdir(name, _OWNER, dir_fd=folder)
        except FileExistsError:
            pass  # only its mode changes, at the end
        return
    aside = b".%b.octavo-%b" % (name[:100], os.urandom(4).hex().encode())
    try:
        if stat.S_ISLNK(after.mode):
            os.symlink(after.content, aside, dir_fd=folder)
        elif stat.S_ISFIFO(after.mode):
            os.mkfifo(aside, 0o600, dir_fd=folder)
            _change_mode(folder, aside, stat.S_IMODE(after.mode))
        else:
            _write(folder, aside, content(after), stat.S_IMODE(after.mode))
        os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        try:
            os.unlink(aside, dir_fd=folder)
        except OSError:
            pass
        raise


def _write(folder: int, name: bytes, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    with open(fd, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fchmod(fd, mode)


def _set_mode(below: Below, path: bytes, mode: int) -> None:
    try:
        folder, name = below.folder(path)
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            _change_mode(folder, name, mode)
    except (FileNotFoundError, NotADirectoryError):
        pass


def _change_mode(folder: int, name: bytes, mode: int) -> None:
    """Change the mode of what `name` is, never of what it links to."""
    # Opened without a right to read it, which a folder one may not enter needs.
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)
