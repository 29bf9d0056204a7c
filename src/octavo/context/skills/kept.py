"""What the files of a skill said when they were agreed to, so that a change can be shown.

Kept in `$OCTAVO_HOME/skills.kept`, one file a folder's checksum. Only text, and not too much of it:
without it a change is still noticed, and only said instead of shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from octavo.config.paths import read_private, write_private
from octavo.context.skills.folder import Contents, differing
from octavo.context.skills.lock import Pin
from octavo.protocol.visible import visible_command, visible_line

FILE_LIMIT_BYTES = 64 << 10
TOTAL_LIMIT_BYTES = 2 << 20
_READ_LIMIT_BYTES = 4 << 20
_LINES_LIMIT = 400
"""Of one file's difference."""


def keep(home: Path, contents: Contents) -> None:
    """Keep the texts of a folder. Raises ConfigError."""
    kept: dict[str, str] = {}
    left_bytes = TOTAL_LIMIT_BYTES
    for path, data in contents.data.items():
        text = _text(data)
        if text is not None and len(data) <= left_bytes:
            kept[path] = text
            left_bytes -= len(data)
    write_private(_file(home, contents.sha256), msgspec.msgpack.encode(kept))


def forget(home: Path, sha256: str) -> None:
    """Keep the texts of a folder no longer."""
    _file(home, sha256).unlink(missing_ok=True)


def difference(home: Path, pin: Pin | None, now: Contents) -> list[str]:
    """Return what is other in a folder than what was agreed to, line by line.

    Args:
        pin: what was agreed to; None: nothing was, so that all of it is new.
        now: the folder, with its contents.
    """
    before = {} if pin is None else pin.files
    texts = {} if pin is None else _kept(home, pin.sha256)
    lines: list[str] = []
    for path in differing(before, now.entries):
        was, is_ = before.get(path), now.entries.get(path)
        shown = visible_line(path)
        if is_ is None:
            lines.append(f"--- {shown} is gone")
            continue
        lines.append(f"+++ {shown} is new" if was is None else f"+++ {shown} changed")
        if is_.link is not None:
            lines.append(f"+   a link to {visible_line(is_.link)}")
            continue
        if is_.executable and not (was is not None and was.executable):
            lines.append("+   it can be executed")
        lines += _lines(texts.get(path), now.data[path], is_new=was is None)
    return lines


def _lines(before: str | None, data: bytes, *, is_new: bool) -> Iterator[str]:
    import difflib

    now = _text(data)
    if now is None:
        yield f"+   {len(data)} bytes that are no text, or too much of it"
        return
    if before is None and not is_new:
        yield "    (what it was is not kept on this machine; all of it is shown)"
    found = difflib.unified_diff((before or "").splitlines(), now.splitlines(), lineterm="")
    for number, line in enumerate(list(found)[2:]):
        if number == _LINES_LIMIT:
            yield "    (more is left out here; read the file)"
            return
        yield visible_command(line)


def _kept(home: Path, sha256: str) -> Mapping[str, str]:
    data = read_private(_file(home, sha256), limit_bytes=_READ_LIMIT_BYTES)
    if data is None:
        return {}
    try:
        return msgspec.msgpack.decode(data, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def _file(home: Path, sha256: str) -> Path:
    name = sha256 if sha256.isalnum() else "none"  # a repository's lockfile may say anything
    return home / "skills.kept" / f"{name[:64]}.msgpack"


def _text(data: bytes) -> str | None:
    if len(data) > FILE_LIMIT_BYTES or b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
