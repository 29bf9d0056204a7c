"""What is around files: directories, copies, watches, as a cage's policy allows them.

`Sandbox.look` and `Sandbox.change` are for the content of files; these are for the rest. Each asks
one process of the cage (`cage.trees`), made for it alone, so what the host has put there since the
cage was opened is hidden and held as for a new command. Whoever stops waiting ends that process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from octavo.protocol.errors import SandboxError
from octavo.sandbox import FileChangeRefused, Sandbox
from octavo.sandbox.cage import files, trees

_EVENT_BYTES = 16
"""Of an inotify event, before the name."""
_OVERFLOW = 0x4000
_ITSELF = 0x400 | 0x800
"""The watched directory itself was deleted or moved."""


class Metadata(msgspec.Struct, frozen=True):
    """What is at a path. A link is told as what it leads to, and that it is one."""

    is_directory: bool
    is_file: bool
    is_link: bool
    modified_at_ms: int


class Entry(msgspec.Struct, frozen=True):
    """One entry of a directory. A name that is not UTF-8 has U+FFFD in it."""

    name: str
    is_directory: bool
    is_file: bool


async def metadata(sandbox: Sandbox, path: Path) -> Metadata:
    """Raises FileChangeRefused ("missing")."""
    told, _ = await _ask(sandbox, trees.STAT, [path])
    flags = told[0]
    return Metadata(
        bool(flags & trees.IS_DIRECTORY),
        bool(flags & trees.IS_FILE),
        bool(flags & trees.IS_LINK),
        int.from_bytes(told[1:9], "little", signed=True),
    )


async def entries(sandbox: Sandbox, path: Path) -> list[Entry]:
    """Return what is in a directory, by name. Raises FileChangeRefused."""
    _, (fd,) = await _ask(sandbox, trees.LIST, [path])
    try:
        listed = os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)
    found = [
        Entry(
            one[1:].decode("utf-8", "replace"),
            bool(one[0] & trees.IS_DIRECTORY),
            bool(one[0] & trees.IS_FILE),
        )
        for one in _cut(listed)
    ]
    return sorted(found, key=lambda entry: entry.name)


def _cut(listed: bytes) -> list[bytes]:
    """Cut a listing into entries. Flags may be 0, which ends a name elsewhere."""
    found: list[bytes] = []
    at = 0
    while at < len(listed):
        end = listed.index(0, at + 1)
        found.append(listed[at:end])
        at = end + 1
    return found


async def make_directory(sandbox: Sandbox, path: Path, *, parents: bool) -> None:
    """With `parents`, one that is there is none too many. Raises FileChangeRefused."""
    await _ask(sandbox, trees.MAKE, [path], parents)


async def remove(sandbox: Sandbox, path: Path, *, recursive: bool, force: bool) -> None:
    """Remove a file, a link itself, or a directory.

    A tree with something protected or hidden in it is not begun.

    Args:
        recursive: with all that is in it; else a directory has to be empty.
        force: that there is nothing is fine.

    Raises:
        FileChangeRefused: it was not removed; where `reason` is "io", maybe a part of it was.
    """
    await _ask(sandbox, trees.REMOVE, [path], recursive, force)


async def copy(sandbox: Sandbox, source: Path, target: Path, *, recursive: bool) -> None:
    """Copy a file, a link itself, or a directory into what is there already.

    Each file is there whole or as it was before. Raises FileChangeRefused.
    """
    await _ask(sandbox, trees.COPY, [source, target], recursive)


async def walk(sandbox: Sandbox, path: Path, *, limit: int) -> bytes:
    """Return the paths below `path` with a zero byte between; directories end in a slash.

    What cannot be read is left out, as is what belongs to git, and what would be too many.
    """
    _, (fd,) = await _ask(sandbox, trees.WALK, [path], limit)
    try:
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


class Watch:
    """A directory, or one entry of it, that is watched; closed by whoever asked for it.

    Attributes:
        path: what is watched, without links.
        fd: readable when something has happened.
    """

    def __init__(self, path: Path, fd: int, *, is_directory: bool) -> None:
        self.path = path
        self.fd = fd
        self._is_directory = is_directory

    def read(self) -> list[Path]:
        """Return what has changed; empty where only other entries have."""
        try:
            events = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        changed: dict[Path, None] = {}
        at = 0
        while at + _EVENT_BYTES <= len(events):
            mask = int.from_bytes(events[at + 4 : at + 8], "little")
            length = int.from_bytes(events[at + 12 : at + 16], "little")
            name = events[at + _EVENT_BYTES : at + _EVENT_BYTES + length].rstrip(b"\0")
            at += _EVENT_BYTES + length
            if mask & (_OVERFLOW | _ITSELF) or (not name and self._is_directory):
                changed[self.path] = None
            elif name and (self._is_directory or name == os.fsencode(self.path.name)):
                folder = self.path if self._is_directory else self.path.parent
                changed[folder / name.decode("utf-8", "replace")] = None
        return list(changed)

    def close(self) -> None:
        os.close(self.fd)


async def watch(sandbox: Sandbox, path: Path) -> Watch:
    """Watch what is in a directory, or a file that is there or may come.

    Raises:
        FileChangeRefused: there is no such directory, or the system watches no more.
    """
    told, (fd,) = await _ask(sandbox, trees.WATCH, [path])
    if os.readlink(f"/proc/self/fd/{fd}") != "anon_inode:inotify":
        os.close(fd)
        raise SandboxError("The cage gave something else than a watch.")
    return Watch(Path(os.fsdecode(told[1:])), fd, is_directory=told[0] == 1)


async def _ask(
    sandbox: Sandbox, verb: int, paths: Sequence[Path], *options: int
) -> tuple[bytes, list[int]]:
    request = (verb, (*map(os.fspath, paths), *options))
    told, fds, is_done = await sandbox.tree(request)
    if is_done:
        return told, fds
    index = min(int.from_bytes(told[:4], "little"), len(paths) - 1)
    text = told[5:].decode("utf-8", "replace")
    raise FileChangeRefused(text, path=paths[index], reason=files.REASONS[told[4]])
