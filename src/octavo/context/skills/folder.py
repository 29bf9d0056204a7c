"""A skill's folder as a whole: every file in it, bounded, and one checksum for all of it.

The checksum stands for names, contents, the executable bit and links. A link may lead to another
place in the folder; one that leads out, a pipe or a device is refused, as what is behind it could
be anything at any time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from octavo.context.skills import SkillError
from octavo.protocol.visible import visible_line

try:
    from _blake2 import blake2b  # hashlib itself would load OpenSSL
except ImportError:
    from hashlib import blake2b

FILES_LIMIT = 2000
FILE_LIMIT_BYTES = 16 << 20
TOTAL_LIMIT_BYTES = 64 << 20
DEPTH_LIMIT = 12

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file: the checksum of its content, or where the link leads.

    Attributes:
        link: target of a symbolic link; `sha256` is then "".
    """

    sha256: str = ""
    executable: bool = False
    link: str | None = None


class Contents(msgspec.Struct, frozen=True):
    """All of a folder, as it was read.

    Attributes:
        entries: by path in the folder, with "/"; sorted.
        data: the contents, by path; only where they were asked for.
    """

    entries: Mapping[str, Entry]
    data: Mapping[str, bytes] = {}

    @property
    def sha256(self) -> str:
        """What stands for all of it."""
        return checksum(self.entries)


def checksum(entries: Mapping[str, Entry]) -> str:
    """Return what stands for exactly these entries."""
    import hashlib

    digest = hashlib.sha256()
    for path, entry in sorted(entries.items()):
        kind = "link" if entry.link is not None else "executable" if entry.executable else "file"
        line = (kind, path, entry.sha256 if entry.link is None else entry.link)
        digest.update(b"\0".join(os.fsencode(word) for word in line) + b"\0\n")
    return digest.hexdigest()


def read_folder(folder: Path, *, keep: bool = False, leave_out: str = "") -> Contents:
    """Read everything in `folder`.

    Args:
        folder: links on the way to it are followed, links in it never.
        keep: return the contents too.
        leave_out: what is of this name at its top is not looked at.

    Raises:
        SkillError: something in it is refused, cannot be read or is too large.
    """
    import hashlib

    entries: dict[str, Entry] = {}
    data: dict[str, bytes] = {}
    total_bytes = 0
    for path, status in _walk(folder, leave_out):
        if stat.S_ISLNK(status.st_mode):
            entries[path] = Entry(link=_target(folder, path))
            continue
        content = _read(folder, path)
        total_bytes += len(content)
        if total_bytes > TOTAL_LIMIT_BYTES:
            raise SkillError(f"{_shown(folder)} holds more than {TOTAL_LIMIT_BYTES >> 20} MiB.")
        executable = bool(status.st_mode & 0o100)
        entries[path] = Entry(hashlib.sha256(content).hexdigest(), executable)
        if keep:
            data[path] = content
    return Contents(dict(sorted(entries.items())), data)


def layout(folder: Path) -> list[str]:
    """Return the paths of all that is in `folder`, folders and itself ("") too.

    Raises:
        SkillError: as `read_folder` does.
    """
    folders: list[str] = []
    files = [path for path, _ in _walk(folder, folders=folders)]
    return ["", *folders, *files]


def stamp(folder: str, places: Sequence[str]) -> tuple[str, int]:
    """Return what changes whenever anything in `folder` does, and when the last thing did (ns).

    No file is read, so it is quick; it says nothing about what the files hold.

    Args:
        places: what `layout` returned; what came or went since changes its folder.

    Raises:
        SkillError: one of them is not there any more.
    """
    facts: list[tuple[int, int, int, int, int, int]] = []
    newest_ns = 0
    try:
        for place in places:
            found = os.lstat(f"{folder}/{place}")
            mtime_ns, ctime_ns = found.st_mtime_ns, found.st_ctime_ns
            newest_ns = max(newest_ns, mtime_ns, ctime_ns)
            facts.append(
                (found.st_dev, found.st_ino, found.st_mode, found.st_size, mtime_ns, ctime_ns)
            )
    except OSError as error:
        raise _unreadable(Path(folder), "", error) from None
    return blake2b(repr(facts).encode(), digest_size=16).hexdigest(), newest_ns


def differing(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    """Return the paths at which two folders differ."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def _walk(
    folder: Path, leave_out: str = "", folders: list[str] | None = None
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield each file and link by its path in `folder`, with its state; the order is any.

    Args:
        folders: gets the folders, which are nothing by themselves.
    """
    pending = [("", 0)]
    count = 0
    while pending:
        below, depth = pending.pop()
        try:
            with os.scandir(folder / below if below else folder) as found:
                inside = list(found)
        except OSError as error:
            raise _unreadable(folder, below, error) from None
        for each in inside:
            path = f"{below}/{each.name}" if below else each.name
            if path == leave_out:
                continue
            if not each.name.isprintable():
                raise SkillError(f"{_shown(folder / path)}: the name is not plain text.")
            try:
                status = each.stat(follow_symlinks=False)
            except OSError as error:
                raise _unreadable(folder, path, error) from None
            if stat.S_ISDIR(status.st_mode):
                if depth >= DEPTH_LIMIT:
                    raise SkillError(f"{_shown(folder / path)} is nested too deeply.")
                pending.append((path, depth + 1))
                if folders is not None:
                    folders.append(path)
                continue
            if not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
                raise SkillError(f"{_shown(folder / path)} is a pipe or a device, not a file.")
            count += 1
            if count > FILES_LIMIT:
                raise SkillError(f"{_shown(folder)} holds more than {FILES_LIMIT} files.")
            yield path, status


def _read(folder: Path, path: str) -> bytes:
    """Return a file's content. Raises SkillError."""
    try:
        with open(os.open(folder / path, _READ), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SkillError(f"{_shown(folder / path)} is a pipe or a device, not a file.")
            content = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise _unreadable(folder, path, error) from None
    if len(content) > FILE_LIMIT_BYTES:
        raise SkillError(f"{_shown(folder / path)} is larger than {FILE_LIMIT_BYTES >> 20} MiB.")
    return content


def _target(folder: Path, path: str) -> str:
    """Return where a link leads. Raises SkillError if that is not in the folder."""
    try:
        target = os.readlink(folder / path)
        real = Path(os.path.realpath(folder / path))
    except OSError as error:
        raise _unreadable(folder, path, error) from None
    if os.path.isabs(target) or not real.is_relative_to(os.path.realpath(folder)):
        raise SkillError(f"{_shown(folder / path)} links out of the skill.")
    return target


def _unreadable(folder: Path, path: str, error: OSError) -> SkillError:
    why = (error.strerror or str(error)).lower()
    return SkillError(f"{_shown(folder / path if path else folder)} cannot be read: {why}.")


def _shown(path: Path) -> str:
    return visible_line(str(path))
