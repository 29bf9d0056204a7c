"""What skills said of themselves when they were last read, so that a start reads few of them.

Kept in `$OCTAVO_HOME/cache`, where no command in the cage can write, and used for as long as a
file's identity, size and times stay the same. Losing it costs the time to read the files again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from octavo.config.paths import cache_dir, write_private
from octavo.protocol.errors import ConfigError

_FORMAT = 1
_LIMIT_BYTES = 8 << 20
_KEPT = 4000
_SETTLED_NS = 2_000_000_000
"""What changed later than this before now may change again within one tick of its clock."""

Stamp = tuple[int, int, int, int, int]


class Said(msgspec.Struct, frozen=True, array_like=True):
    """What was found in a SKILL.md: a description, or what is wrong with it."""

    stamp: Stamp
    description: str
    problem: str = ""


class Sum(msgspec.Struct, frozen=True, array_like=True):
    """The checksum of a folder, as long as nothing in it changes; see `folder.stamp`."""

    places: list[str]
    stamp: str
    sha256: str


class _File(msgspec.Struct, frozen=True, array_like=True):
    format: int
    said: dict[str, Said]
    sums: dict[str, Sum]


class Cache:
    """Reads and keeps.

    Args:
        home: `$OCTAVO_HOME`.
        now_ns: the clock.
    """

    def __init__(self, home: Path, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._path = cache_dir(home) / "skills.msgpack"
        self._file: _File | None = None
        self._changed = False

    def said(self, file: str, stamp: Stamp) -> Said | None:
        """Return what `file` said, if it is still the same file."""
        found = self._kept().said.get(file)
        return found if found is not None and found.stamp == stamp else None

    def keep_said(self, file: str, said: Said) -> None:
        if self._is_settled(max(said.stamp[3:])):
            self._kept().said[file] = said
            self._changed = True

    def sum(self, folder: str) -> Sum | None:
        """Return what was kept of `folder`; whether it still holds is for the caller to see."""
        return self._kept().sums.get(folder)

    def keep_sum(self, folder: str, found: Sum, newest_ns: int) -> None:
        if self._is_settled(newest_ns):
            self._kept().sums[folder] = found
            self._changed = True

    def save(self) -> None:
        """Keep it for the next process, if that can be written."""
        if not self._changed or self._file is None:
            return
        said = dict(list(self._file.said.items())[-_KEPT:])
        sums = dict(list(self._file.sums.items())[-_KEPT:])
        try:
            data = msgspec.msgpack.encode(_File(_FORMAT, said, sums))
            write_private(self._path, data)
        except (ConfigError, UnicodeEncodeError):
            return
        self._changed = False

    def _is_settled(self, newest_ns: int) -> bool:
        return self._now_ns() - newest_ns > _SETTLED_NS

    def _kept(self) -> _File:
        if self._file is None:
            self._file = _load(self._path)
        return self._file


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells one state of a file from any other."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _load(path: Path) -> _File:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid == os.geteuid() and not status.st_mode & 0o022:
                kept = msgspec.msgpack.decode(file.read(_LIMIT_BYTES), type=_File)
                if kept.format == _FORMAT:
                    return kept
    except (OSError, msgspec.MsgspecError):
        pass
    return _File(_FORMAT, {}, {})
