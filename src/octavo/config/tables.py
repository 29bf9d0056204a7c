"""TOML files as tables, read once.

Importing a TOML parser costs more than all the rest of loading, so what a file said is kept
(decoded, in `$OCTAVO_HOME/cache`) and used for as long as its identity, size and times stay the
same. Losing that file costs some milliseconds, nothing else.
"""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

import msgspec

from octavo.config.paths import cache_dir, write_private
from octavo.protocol.errors import ConfigError

Table = dict[str, object]

LIMIT_BYTES = 1 << 20
_KEPT_FILES = 32
_SETTLED_NS = 2_000_000_000
"""A file changed later than this before now may change again within one tick of its clock."""

Stamp = tuple[int, int, int, int, int]


class _Kept(msgspec.Struct, frozen=True):
    stamp: Stamp
    table: Table


class _File(msgspec.Struct, frozen=True):
    format: int
    files: dict[str, _Kept]


_FORMAT = 1


class Tables:
    """Reads TOML files, remembering what they said below `home`."""

    def __init__(self, home: Path) -> None:
        self._path = cache_dir(home) / "config.msgpack"
        self._kept: dict[str, _Kept] | None = None
        self._changed = False

    def read(self, path: Path) -> Table | None:
        """Return what `path` says; None if there is no such file.

        Raises:
            ConfigError: it cannot be read, or is not TOML; names line and column.
        """
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise ConfigError(f"{path} is not a file.")
            number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
        with open(number, "rb") as file:
            status = os.fstat(number)
            kept = self._remembered().get(str(path))
            if kept is not None and kept.stamp == _stamp(status):
                return kept.table
            data = file.read(LIMIT_BYTES + 1)
        table = parse(data, path)
        self._keep(path, status, table)
        return table

    def save(self) -> None:
        """Remember what was read for the next process, if that can be written."""
        if not self._changed:
            return
        files = dict(list(self._remembered().items())[-_KEPT_FILES:])
        try:
            write_private(self._path, msgspec.msgpack.encode(_File(_FORMAT, files)))
        except ConfigError:
            return
        self._changed = False

    def _remembered(self) -> dict[str, _Kept]:
        if self._kept is None:
            self._kept = _load(self._path)
        return self._kept

    def _keep(self, path: Path, status: os.stat_result, table: Table) -> None:
        newest_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        if time.time_ns() - newest_ns < _SETTLED_NS or not _survives(table):
            return
        kept = self._remembered()
        kept.pop(str(path), None)
        kept[str(path)] = _Kept(_stamp(status), table)
        self._changed = True


def _load(path: Path) -> dict[str, _Kept]:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                return {}
            kept = msgspec.msgpack.decode(file.read(), type=_File)
    except (OSError, msgspec.MsgspecError):
        return {}
    return kept.files if kept.format == _FORMAT else {}


def _stamp(status: os.stat_result) -> Stamp:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _survives(table: Table) -> bool:
    """Whether encoding and decoding gives the same table; local dates, for one, do not."""
    try:
        again: object = msgspec.msgpack.decode(msgspec.msgpack.encode(table))
        return again == table
    except (msgspec.MsgspecError, OverflowError, ValueError, TypeError, RecursionError):
        return False


def parse(data: bytes, path: Path) -> Table:
    """Parse a TOML file's bytes.

    Raises:
        ConfigError: they are not TOML; names `path`, line and column, and shows the line.
    """
    import tomllib

    if len(data) > LIMIT_BYTES:
        raise ConfigError(
            f"{path} is larger than {LIMIT_BYTES >> 20} MiB; that is no settings file."
        )
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError(f"{path}:{line}:{column}: this is not UTF-8 text.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_error(path, text.replace("\r\n", "\n"), str(error))) from None
    except RecursionError:
        raise ConfigError(f"{path} nests tables or lists too deeply.") from None


def _syntax_error(path: Path, text: str, message: str) -> str:
    said, _, place = message.rpartition(" (at ")
    found = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    lines = text.split("\n")
    if found is None:
        line, column = len(lines), len(lines[-1]) + 1
    else:
        line, column = int(found[1]), int(found[2])
    reason = said or message
    return f"{path}:{line}:{column}: {reason}.\n" + show_line(lines[line - 1], column)


def show_line(line: str, column: int) -> str:
    """Return a line of a file and, below it, a caret under `column` (from 1)."""
    shown = "".join(c if c.isprintable() else " " for c in line)
    first = max(0, column - 60)
    return f"    {shown[first : first + 90]}\n    {' ' * (column - 1 - first)}^"
