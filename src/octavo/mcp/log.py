"""What a server says of its own doings, kept for the person: its log lines, and what it prints.

Kept beside the server's home, where neither it nor commands of a thread can read or write it. The
file is bounded, and so is what a second adds to it. A log that cannot be written is not worth a
failure of the server: then there is none.
"""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from octavo.config.paths import FILE_MODE, write_private
from octavo.protocol.errors import ConfigError

LINES = 50
"""How many are kept at hand, for clients."""
FILE_LIMIT_BYTES = 256 << 10
"""Past this, the older half is let go of."""
LINE_CHARACTERS = 500
BATCH_LINES = 100
"""The most that is written at once; what is said between two writes beyond that is lost."""
WRITE_EVERY_S = 1.0


def log_file(home: Path) -> Path:
    """Return where the log of a server with this home is: beside it.

    No server has a home of that name, as there is no dot in a server's.
    """
    return home.with_name(f"{home.name}.log")


class ServerLog:
    """The log of one server in one thread; all threads write into one file.

    Attributes:
        last: the last lines, the newest at the end.
    """

    def __init__(self, path: Path) -> None:
        self.last: deque[str] = deque(maxlen=LINES)
        self._path = path
        self._pending: deque[str] = deque(maxlen=BATCH_LINES)
        self._lost = 0
        self._writing = False

    def begin(self) -> None:
        """Note a start. The file is there then, so that what is caged from now on cannot see it."""
        append(self._path, f"{_now()} started\n".encode())

    def add(self, level: str, text: str, group: anyio.abc.TaskGroup | None) -> None:
        """Keep a line, which has nothing invisible in it; it is written soon, in `group`."""
        line = f"{level}: {text}"
        self.last.append(line)
        self._lost += len(self._pending) == BATCH_LINES
        self._pending.append(f"{_now()} {line[:LINE_CHARACTERS]}\n")
        if not self._writing and group is not None:
            self._writing = True
            group.start_soon(self._write)

    async def _write(self) -> None:
        try:
            while self._pending:
                with anyio.CancelScope(shield=True):  # what was taken is written
                    await anyio.to_thread.run_sync(append, self._path, self._taken())
                await anyio.sleep(WRITE_EVERY_S)
        finally:
            self._writing = False

    def end(self) -> None:
        """Write what was not written yet."""
        if self._pending:
            append(self._path, self._taken())

    def _taken(self) -> bytes:
        lost = f"({self._lost} lines before these were lost)\n" if self._lost else ""
        data = (lost + "".join(self._pending)).encode("utf-8", "replace")
        self._pending.clear()
        self._lost = 0
        return data


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def append(path: Path, data: bytes) -> None:
    """Add lines to a log. One that cannot be written stays as it is, and that is no error."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(path, flags, FILE_MODE), "r+b", buffering=0) as file:
            file.write(data)
            size = file.tell()
            if size <= FILE_LIMIT_BYTES:
                return
            file.seek(size - FILE_LIMIT_BYTES // 2)
            kept = file.read()
        write_private(path, kept.partition(b"\n")[2])
    except (OSError, ConfigError):
        return


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a log, the newest at the end; none, where there is no log."""
    try:
        with open(path, "rb") as file:
            text = file.read(2 * FILE_LIMIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]
