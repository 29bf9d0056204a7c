"""Files read and changed on a model's word.

`look` shows files as whoever runs it sees them. `change` applies a batch whole or not at all: all
conditions are checked and all new content is on disk, without a name, before the first file is
touched; each step then knows how to undo itself. Both run inside the cage, where the kernel
decides what may be touched; a change that a person let out of it names exact real paths.

Directories are held as descriptors that no link leads to, so nothing swapped meanwhile can send a
change elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat

from .target import Target

Change = tuple[str, str, bytes | None, int | None, bytes | None, bool]
"""("write" or "delete", path, data, mode, content before, overwrite)."""

FILE, DIRECTORY, MISSING, OTHER, UNREADABLE = range(5)
"""What is at a path."""
REASONS = ("outside", "changed", "exists", "missing", "directory", "io")
RECORD_BYTES = 25
_COPY_BYTES = 1 << 20
_LOOK_FACTOR = 4
"""All files of one look may have so many times what one may."""


class Refused(Exception):
    """The batch was not applied; change number `index` is why."""

    def __init__(self, index: int, reason: str, text: str) -> None:
        super().__init__(index, reason, text)
        self.index = index
        self.reason = reason
        self.text = text

    def encode(self) -> bytes:
        head = self.index.to_bytes(4, "little") + bytes((REASONS.index(self.reason),))
        return head + self.text.encode("utf-8", "replace")[:4096]


def look(paths: list[str], limit_bytes: int, found: int) -> None:
    """Write the content of all files to `found`, then one record a path, then the records' start.

    A record is kind (1), mode (4), length of content (8), of real path (4), of reason (4) and 4
    bytes unused, little-endian; real path and reason follow it.
    """
    records = b""
    for path in paths:
        real = os.path.realpath(path)
        kind, mode, length, reason = _look_at(real, limit_bytes, found)
        real_bytes, reason_bytes = os.fsencode(real), reason.encode()
        records += bytes((kind,)) + mode.to_bytes(4, "little") + length.to_bytes(8, "little")
        records += len(real_bytes).to_bytes(4, "little") + len(reason_bytes).to_bytes(4, "little")
        records += bytes(4) + real_bytes + reason_bytes
    start = os.lseek(found, 0, os.SEEK_CUR)
    os.write(found, records + start.to_bytes(8, "little"))


def _look_at(path: str, limit_bytes: int, found: int) -> tuple[int, int, int, str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return MISSING, 0, 0, ""
        if error.errno in (errno.ENXIO, errno.ENODEV):
            return OTHER, 0, 0, ""
        return UNREADABLE, 0, 0, sentence(path, error)
    try:
        state = os.fstat(fd)
        mode = stat.S_IMODE(state.st_mode)
        if stat.S_ISDIR(state.st_mode):
            return DIRECTORY, mode, 0, ""
        if not stat.S_ISREG(state.st_mode):
            return OTHER, mode, 0, ""
        if os.lseek(found, 0, os.SEEK_CUR) + state.st_size > _LOOK_FACTOR * limit_bytes:
            text = f"{path} would be too much to read with the others; take fewer files at a time."
            return UNREADABLE, mode, 0, text
        if state.st_size > limit_bytes:
            text = f"{path} has {state.st_size} bytes; the limit is {limit_bytes}."
            return UNREADABLE, mode, 0, text
        start = os.lseek(found, 0, os.SEEK_CUR)
        try:
            length = _copy(fd, found, limit_bytes)
        except OSError as error:
            os.lseek(found, start, os.SEEK_SET)
            os.ftruncate(found, start)
            return UNREADABLE, mode, 0, sentence(path, error)
        return FILE, mode, length, ""
    finally:
        os.close(fd)


def _copy(source: int, target: int, limit_bytes: int) -> int:
    length = 0
    while length < limit_bytes:
        data = os.read(source, min(_COPY_BYTES, limit_bytes - length))
        if not data:
            break
        length += os.write(target, data)
    return length


def change(
    changes: list[Change], *, roots: list[str], held: Sequence[str] = (), exact: bool = False
) -> None:
    """Apply every change or none.

    Args:
        changes: in order; a later one sees what an earlier one would leave.
        roots: trees in which changes may lie; the kernel has the last word.
        held: paths in them that may not be changed, nor anything below, where the kernel does not
            know it; a root in one of them may be.
        exact: a path must be real: where a link would lead elsewhere, it is refused.

    Raises:
        Refused: nothing was changed.
    """
    batch = _Batch(changes, roots, held, exact)
    try:
        for index in range(len(changes)):
            batch.prepare(index)
        for index in range(len(changes)):
            batch.commit(index)
    except BaseException:
        batch.undo()
        raise
    finally:
        batch.close()


class _Batch:
    """The changes of one call and how far they have come."""

    def __init__(
        self, changes: list[Change], roots: list[str], held: Sequence[str], exact: bool
    ) -> None:
        self._changes = changes
        self._roots = [root.rstrip("/") for root in roots]
        self._held = held
        self._exact = exact
        self._planned: dict[str, bytes | None] = {}
        """Content a path will have by the changes prepared so far; None if it will be gone."""
        self._targets: list[Target] = []
        self._made: list[tuple[int, str]] = []
        """Directories made, as (descriptor of the parent, name)."""
        self._committed: list[Target] = []

    def prepare(self, index: int) -> None:
        """Check one change and put its new content on disk, unnamed."""
        verb, path, data, mode, before, overwrite = self._changes[index]
        real = real_path(path, follow=verb == "write")
        if self._exact and real != os.path.normpath(path):
            raise Refused(index, "outside", f"{path} leads to {real}, which was not granted.")
        if not any(is_within(real, root) for root in self._roots):
            raise Refused(index, "outside", f"{real} is outside the writable directories.")
        if len(around(real, self._held)) > len(around(real, self._roots)):
            raise Refused(index, "outside", f"{real} is protected.")
        try:
            self._check(index, real, before, overwrite or verb == "delete")
            parent = self._parent(real)
            target = Target(parent, os.path.basename(real), index, real)
            self._targets.append(target)
            target.check_writable(only_mount=verb == "delete")
            if verb == "write":
                target.write(data or b"", mode)
                self._planned[real] = data
            else:
                self._planned[real] = None
        except OSError as error:
            raise self._refusal(index, real, error) from None

    def _check(self, index: int, real: str, before: bytes | None, may_exist: bool) -> None:
        verb = self._changes[index][0]
        if real in self._planned:
            content = self._planned[real]
            exists = content is not None
        else:
            state = _state(real)
            exists = state is not None
            content = None
            if state is not None:
                if stat.S_ISDIR(state.st_mode):
                    raise Refused(index, "directory", f"{real} is a directory.")
                if not stat.S_ISREG(state.st_mode) and not stat.S_ISLNK(state.st_mode):
                    raise Refused(index, "io", f"{real} is not a regular file.")
                if before is not None:
                    content = _content(real, state.st_size, before)
        if not exists and (before is not None or verb == "delete"):
            raise Refused(index, "missing", f"{real} does not exist.")
        if exists and before is None and not may_exist:
            raise Refused(index, "exists", f"{real} exists already.")
        if exists and before is not None and content != before:
            raise Refused(index, "changed", f"{real} is not what it was when it was read.")

    def _parent(self, real: str) -> int:
        """Open the directory of `real` without following links, making what is missing."""
        return open_directory(os.path.dirname(real), make=self._make)

    def _make(self, parent: int, name: str) -> None:
        held = os.dup(parent)
        try:
            os.mkdir(name, dir_fd=parent)
        except BaseException:
            os.close(held)
            raise
        self._made.append((held, name))

    def commit(self, index: int) -> None:
        target = self._targets[index]
        try:
            self._committed.append(target)
            if self._changes[index][0] == "write":
                target.replace()
            else:
                target.remove()
        except OSError as error:
            raise self._refusal(index, target.real, error) from None

    def undo(self) -> None:
        """Put everything back, last change first.

        Raises:
            Refused: something could not be put back; it says where its old content is.
        """
        lost: Refused | None = None
        for target in reversed(self._committed):
            try:
                target.undo()
            except OSError as error:
                lost = Refused(target.index, "io", target.abandon(error))
        for target in self._targets:
            target.tidy()
        for parent, name in reversed(self._made):
            try:
                os.rmdir(name, dir_fd=parent)
            except OSError:
                continue
        self._committed = []
        if lost is not None:
            raise lost

    def close(self) -> None:
        for target in self._targets:
            target.tidy()
            target.close()
        for parent, _ in self._made:
            os.close(parent)

    def _refusal(self, index: int, real: str, error: OSError) -> Refused:
        if error.errno == errno.EROFS:
            return Refused(index, "outside", f"{real} is read-only under the policy.")
        if error.errno == errno.EEXIST:
            return Refused(index, "exists", f"{real} exists already.")
        if error.errno == errno.EBUSY:
            return Refused(index, "outside", f"{real} is protected.")
        return Refused(index, "io", sentence(real, error))


def is_within(path: str, place: str) -> bool:
    """Whether `path` is `place` or below it; both without a slash at the end."""
    return path == place or path.startswith(place + "/")


def around(path: str, places: Sequence[str]) -> str:
    """Return the innermost of `places` that is `path` or holds it; "" if none does."""
    found = [place for place in places if is_within(path, place)]
    return max(found, key=len, default="")


def real_path(path: str, *, follow: bool) -> str:
    """Return where `path` leads; without `follow`, a link at its end is not followed."""
    if follow:
        return os.path.realpath(path)
    path = os.path.normpath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def open_directory(real: str, *, make: Callable[[int, str], None] | None = None) -> int:
    """Return a descriptor of a directory, reached without following any link.

    Args:
        real: absolute, with no link in it; where there is one by now, this fails.
        make: makes a directory that is missing, by its parent's descriptor and its name.
    """
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    for name in real.split("/"):
        if not name:
            continue
        try:
            try:
                deeper = os.open(name, flags, dir_fd=fd)
            except FileNotFoundError:
                if make is None:
                    raise
                make(fd, name)
                deeper = os.open(name, flags, dir_fd=fd)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _content(path: str, size: int, before: bytes) -> bytes:
    """Read `path` only when it can still be what it was."""
    if size != len(before):
        return b"" if before else b"\0"
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return b"" if before else b"\0"
        return file.read(size + 1) if size else b""


def sentence(path: str, error: OSError) -> str:
    """Say what the system said of `path`."""
    return f"{path}: {(error.strerror or 'input or output error').lower()}."


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
