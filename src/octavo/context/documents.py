"""Reading a text that goes to the model from a place that is not trusted.

A project's file may be a link to a secret, a pipe that never ends, or change while it is looked
at. So it is opened by walking down from the project's root without following a link, only if it is
a plain file, and no more is read than asked for. What cannot be read is a warning and no document.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from octavo.context.visible import visible, visible_line

OWN_LIMIT_BYTES = 1 << 20
"""Of the user's own file, which has no budget; a limit all the same, to bound memory."""


class Document(msgspec.Struct, frozen=True):
    """A file's text for the model, hiding characters made visible."""

    path: Path
    text: str
    loaded_bytes: int
    cut: bool = False
    """There was more than fitted; `text` ends with a line that says so."""


def read_own(path: Path, warnings: list[str]) -> Document | None:
    """Read a file of the user's own, wherever it links to; None if there is none to read."""
    try:
        if not _is_plain(path, os.stat(path), warnings):
            return None
        return _take(os.open(path, _READ), path, OWN_LIMIT_BYTES, warnings, own=True)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        warnings.append(f"{_shown(path)} was not read: {_why(error)}.")
        return None


def read_inside(root: Path, path: Path, limit_bytes: int, warnings: list[str]) -> Document | None:
    """Read a file of the project at `root`; None if there is none to read.

    Args:
        root: the project's root, links resolved.
        path: a file below it; a link may lead elsewhere below it.
        limit_bytes: read at most this much; 0 only names the file.
        warnings: gets a sentence when something is refused, cut or mended.
    """
    try:
        os.lstat(path)
        real = Path(os.path.realpath(path, strict=True))
        if not real.is_relative_to(root):
            warnings.append(f"{_shown(path)} was not read: it links out of the project.")
            return None
        return open_below(root, real, path, limit_bytes, warnings)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        warnings.append(f"{_shown(path)} was not read: {_why(error)}.")
        return None


_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_below(
    root: Path, real: Path, path: Path, limit_bytes: int, warnings: list[str]
) -> Document | None:
    """Open `real` from `root` down. A link put in its way meanwhile is an error, not followed."""
    folder = os.open(root, _FOLDER)
    try:
        *folders, name = real.relative_to(root).parts
        for each in folders:
            below = os.open(each, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not _is_plain(path, found, warnings):
            return None
        file = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
    return _take(file, path, limit_bytes, warnings)


def _is_plain(path: Path, found: os.stat_result, warnings: list[str]) -> bool:
    if stat.S_ISREG(found.st_mode):
        return True
    if not stat.S_ISDIR(found.st_mode):
        warnings.append(f"{_shown(path)} was not read: it is a pipe or a device, not a file.")
    return False


def _take(
    file: int, path: Path, limit_bytes: int, warnings: list[str], *, own: bool = False
) -> Document | None:
    with open(file, "rb") as opened:
        found = os.fstat(file)
        if not _is_plain(path, found, warnings):
            return None
        data = opened.read(limit_bytes + 1)
    cut = len(data) > limit_bytes
    total_bytes = max(found.st_size, len(data))
    if cut:
        data = whole_lines(data[:limit_bytes])
        warnings.append(
            f"{_shown(path)} is too long: {len(data)} of {total_bytes} bytes were loaded."
            f" {'Shorten it' if own else 'Shorten it, or raise project_doc_max_bytes'}."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        warnings.append(f"{_shown(path)} is not UTF-8; what is not text was replaced by U+FFFD.")
    text = visible(text).rstrip().lstrip("\n")
    if cut:
        rest = "the rest" if text else "it applies, but"
        note = f"[{_shown(path)}: {rest} is left out here; read it in the file.]"
        text = f"{text}\n{note}" if text else note
    return Document(path, text, len(data), cut)


def whole_lines(data: bytes) -> bytes:
    """Return `data` up to the end of its last whole line, or if it has none, whole character."""
    end = data.rfind(b"\n") + 1
    if end:
        return data[:end]
    for back, byte in enumerate(reversed(data[-4:]), 1):
        if byte & 0xC0 == 0x80:
            continue
        width = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if width > back else data
    return data


def _shown(path: Path) -> str:
    return visible_line(str(path))


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
