"""What octavo itself did, for finding out why. Off unless asked for; not the log of a thread.

JSON lines in two files that take turns, so that they never hold more than `LIMIT_BYTES` in all, and
whatever is written passes a redaction first. Writing here cannot fail: a line that the disk does
not take is lost, and the caller never learns of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from octavo.store.lock import is_at
from octavo.store.rollout import make_private

LIMIT_BYTES = 10 << 20

Level = Literal["off", "error", "warn", "info", "debug", "trace"]
LEVELS: tuple[Level, ...] = ("off", "error", "warn", "info", "debug", "trace")

Fact = str | int | float | bool | None

_LINE_BYTES = 1 << 16
_TEXT_CHARACTERS = 4096


class Diagnostics:
    """The diagnostic log of one process; several may share its files."""

    def __init__(
        self,
        folder: Path,
        level: Level,
        redact: Callable[[str], str],
        *,
        limit_bytes: int = LIMIT_BYTES,
    ) -> None:
        self.path = folder / "octavo.log"
        self._rank = LEVELS.index(level)
        self._redact = redact
        self._file_bytes = limit_bytes // 2 - _LINE_BYTES
        self._fd = -1

    def wants(self, level: Level) -> bool:
        """True when a line of `level` would be written, for lines that are costly to make."""
        return 0 < LEVELS.index(level) <= self._rank

    def write(self, level: Level, message: str, **facts: Fact) -> None:
        """Write one line, if `level` is wanted. Long texts are cut."""
        if not self.wants(level):
            return
        try:
            line = self._line(level, message, facts)
            os.write(self._file(), line)
        except Exception:  # noqa: BLE001 (a diagnosis that fails must not become the illness)
            self.close()

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _line(self, level: Level, message: str, facts: dict[str, Fact]) -> bytes:
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        entry: dict[str, Fact] = {
            "at": f"{stamp}.{int(now * 1000) % 1000:03}Z",
            "level": level,
            "pid": os.getpid(),
            "message": self._clean(message),
        }
        for name, fact in facts.items():
            entry[name] = self._clean(fact) if isinstance(fact, str) else fact
        line = msgspec.json.encode(entry) + b"\n"
        if len(line) > _LINE_BYTES:
            entry = {name: entry[name] for name in ("at", "level", "pid", "message")}
            line = msgspec.json.encode(entry) + b"\n"
        return line

    def _clean(self, text: str) -> str:
        text = self._redact(text)  # before it is cut: half a secret is still one
        if len(text) > _TEXT_CHARACTERS:
            text = f"{text[:_TEXT_CHARACTERS]}… ({len(text)} characters)"
        return text.encode(errors="replace").decode()

    def _file(self) -> int:
        """Return the open file, having begun a new one if it was full."""
        if self._fd < 0:
            self._fd = self._open()
        if os.fstat(self._fd).st_size < self._file_bytes:
            return self._fd
        fcntl.flock(self._fd, fcntl.LOCK_EX)  # the first process to come here turns the page
        if is_at(self.path, self._fd):
            os.replace(self.path, self.path.with_suffix(".log.1"))
        self.close()
        self._fd = self._open()
        return self._fd

    def _open(self) -> int:
        make_private(self.path.parent)
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
