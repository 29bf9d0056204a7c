"""What a person agreed to have used of a repository, byte for byte.

Trust in a repository lets its plain settings count. What decides or runs (its rules for commands)
counts only as long as it is exactly what the person agreed to: a changed byte, and it is left out
until they have seen the difference. Kept in `$OCTAVO_HOME/consents.json`, by what is trusted as a
whole and the path in it, so that the work trees of a repository share it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.paths import consents_file, read_private, write_private
from octavo.config.trust import read_executable, repository_root, trust_unit
from octavo.protocol.errors import ConfigError
from octavo.protocol.visible import visible_line

_LIMIT_BYTES = 16 << 20

State = Literal["accepted", "new", "changed"]


class Item(msgspec.Struct, frozen=True):
    """One file that decides or runs.

    Attributes:
        path: where it is.
        unit: what is trusted as a whole.
        name: its path in there.
        content: as it was read; whoever uses it takes these bytes.
        before: what was agreed to, if it is something else.
    """

    path: Path
    unit: str
    name: str
    content: bytes
    state: State
    before: bytes = b""

    @property
    def sha256(self) -> str:
        """The content's checksum."""
        import hashlib  # only where one is shown

        return hashlib.sha256(self.content).hexdigest()

    def difference(self) -> list[str]:
        """Return what is new in it since it was agreed to, line by line, with nothing invisible."""
        import difflib

        was, now = (
            data.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n") if data else []
            for data in (self.before, self.content)
        )  # nothing else ends a line for what will read it
        lines = difflib.unified_diff(was, now, "agreed to", "now", lineterm="")
        return [visible_line(line) for line in lines]


class _File(msgspec.Struct, frozen=True):
    units: dict[str, dict[str, bytes]] = {}


def read_consents(home: Path) -> dict[str, dict[str, bytes]]:
    """Return what was agreed to: contents by unit and path.

    Raises:
        ConfigError: the file is there and cannot be read or understood.
    """
    path = consents_file(home)
    data = read_private(path, limit_bytes=_LIMIT_BYTES)
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=_File).units
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is damaged, so nothing of a repository is used that decides or runs.",
            hint="Delete it and run `octavo trust` again where you need it.",
        ) from None


def items(home: Path, files: Iterable[Path]) -> list[Item]:
    """Return the files with what the person said to them.

    Raises:
        ConfigError: one of them, or what was agreed to, cannot be read.
    """
    agreed = read_consents(home)
    return [_item(path, agreed) for path in files]


def table_item(home: Path, file: Path, name: str, table: object) -> Item:
    """Return one table of a project's settings file, as an item of its own.

    Raises:
        ConfigError: what was agreed to cannot be read.
    """
    written = msgspec.json.format(msgspec.json.encode(table, order="sorted"), indent=2) + b"\n"
    return _item(file, read_consents(home), written, f"#{name}")


def _item(
    path: Path,
    agreed: Mapping[str, Mapping[str, bytes]],
    content: bytes | None = None,
    part: str = "",
) -> Item:
    # The file's own name, not that of what it may be a link to: that can be anywhere.
    real = Path(os.path.realpath(path.parent)) / path.name
    top = repository_root(real.parent) or _configured(real)
    unit = str(trust_unit(top))
    name = os.path.relpath(real, top)
    if content is None:
        content = read_executable(path)
    name += part
    before = agreed.get(unit, {}).get(name)
    if before is None:
        return Item(path, unit, name, content, "new")
    state: State = "accepted" if before == content else "changed"
    return Item(path, unit, name, content, state, before)


def _configured(file: Path) -> Path:
    """Return the directory outside of any repository that a file is about."""
    for place in file.parents:
        if place.name == ".octavo":
            return place.parent
    return file.parent


def accept(home: Path, accepted: Iterable[Item]) -> None:
    """Remember that the person agreed to these, as they were read.

    Raises:
        ConfigError: it cannot be written; nothing was changed.
    """
    units = {unit: dict(kept) for unit, kept in read_consents(home).items()}
    for item in accepted:
        units.setdefault(item.unit, {})[item.name] = item.content
    _write(home, units)


def forget(home: Path, unit: Path) -> None:
    """Take back everything that was agreed to of `unit`."""
    units = read_consents(home)
    if units.pop(str(unit), None) is not None:
        _write(home, units)


def _write(home: Path, units: dict[str, dict[str, bytes]]) -> None:
    write_private(consents_file(home), msgspec.json.encode(_File(units)) + b"\n")
