"""The whole output of a command, when the model sees only a part of it."""

from __future__ import annotations

import os
from pathlib import Path

from octavo.store.rollout import make_private

LIMIT_BYTES = 256 << 20

_NAME_CHARACTERS = 100


class KeptOutput:
    """A file that keeps output up to a limit; a `tools.OutputFile`."""

    def __init__(self, path: Path, fd: int, limit_bytes: int) -> None:
        self.path = path
        self._fd = fd
        self._left_bytes = limit_bytes
        self._limit_bytes = limit_bytes
        self._dropped_bytes = 0

    @classmethod
    def open(
        cls, home: Path, thread_id: str, call_id: str, *, limit_bytes: int = LIMIT_BYTES
    ) -> KeptOutput:
        """Make the file for one call's output, `outputs/<thread_id>/<call_id>.log` under `home`.

        A call id is the model's word, so the name holds only its letters, digits, "-" and "_", and
        a number when there already is such a file.

        Raises:
            OSError: it cannot be made.
        """
        folder = home / "outputs" / thread_id
        make_private(folder)
        name = _file_name(call_id)
        number = 1
        while True:
            path = folder / (f"{name}.log" if number == 1 else f"{name}.{number}.log")
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                return cls(path, os.open(path, flags, 0o600), limit_bytes)
            except FileExistsError:
                number += 1

    def write(self, data: bytes) -> None:
        """Append `data`; what is over the limit is counted and dropped.

        Raises:
            OSError: the disk took none of it, or a part. What was kept before stays.
        """
        kept = memoryview(data)[: self._left_bytes]
        self._dropped_bytes += len(data) - len(kept)
        while kept:
            done_bytes = os.write(self._fd, kept)
            self._left_bytes -= done_bytes
            kept = kept[done_bytes:]

    def close(self) -> None:
        """Close the file, its last line saying what was dropped. An empty one is removed."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        try:
            if self._dropped_bytes:
                os.write(fd, self._last_line())
            elif self._left_bytes == self._limit_bytes:
                self.path.unlink(missing_ok=True)
        except OSError:
            pass  # the output itself is kept; only the remark about it, or the tidying, is not
        finally:
            os.close(fd)

    def _last_line(self) -> bytes:
        return (
            f"\n[octavo kept the first {self._limit_bytes:,} bytes of this output;"
            f" {self._dropped_bytes:,} more were dropped]\n"
        ).encode()


def find_kept(
    home: Path, thread_id: str, call_id: str, tail_bytes: int
) -> tuple[Path, bytes] | None:
    """Return the file with a call's output and the last of it; None where none was kept.

    Also None where several calls have that name: which of them wrote what cannot be told.
    """
    folder = home / "outputs" / thread_id
    name = _file_name(call_id)
    path = folder / f"{name}.log"
    if (folder / f"{name}.2.log").exists():
        return None
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - tail_bytes))
            return path, file.read(tail_bytes)
    except OSError:
        return None


def _file_name(call_id: str) -> str:
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in call_id)
    return name[:_NAME_CHARACTERS] or "call"
