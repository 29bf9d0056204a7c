"""Telling the content of files apart, without keeping it: digests, and what a path holds now.

A look follows links, reads plain files only, never waits, and is bounded.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Literal

try:
    from _blake2 import blake2b  # hashlib itself would load OpenSSL
except ImportError:  # pragma: no cover (a Python that is not CPython)
    from hashlib import blake2b

LOOK_LIMIT_BYTES = 64 << 20
"""A larger file is not read; no patch made it."""
ENTRIES_LIMIT = 100_000

_DIGEST_BYTES = 16
_CHUNK_BYTES = 1 << 20
_LEFT_BEHIND = re.compile(r"\.octavo-[0-9a-f]{12}-\d+(?:-old)?")
"""How `sandbox.cage.target` names a file while a batch of changes is under way."""


def digest(data: bytes) -> str:
    """Return what tells `data` from other content: 32 hexadecimal digits."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def digest_at(path: Path) -> str | Literal["unreadable"] | None:
    """Return the digest of the file that `path` leads to; None where there is nothing at all."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return "unreadable"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        with open(fd, "rb", buffering=0) as file:
            state = os.fstat(fd)
            if not stat.S_ISREG(state.st_mode) or state.st_size > LOOK_LIMIT_BYTES:
                return "unreadable"
            found = blake2b(digest_size=_DIGEST_BYTES)
            left_bytes = LOOK_LIMIT_BYTES
            while left_bytes > 0 and (data := file.read(min(_CHUNK_BYTES, left_bytes))):
                found.update(data)
                left_bytes -= len(data)
    except OSError:
        return "unreadable"
    return found.hexdigest()


def left_behind(folder: Path) -> list[Path]:
    """Return the files that a change which was killed half-way left in `folder`, in order."""
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name
                for entry, _ in zip(entries, range(ENTRIES_LIMIT), strict=False)
                if _LEFT_BEHIND.fullmatch(entry.name)
            ]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]
