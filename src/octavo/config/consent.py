"""What of a project's files may run or decide: only what the person agreed to, byte for byte.

To trust a repository lets its plain settings count. What in it executes, or decides about what
executes, needs more: the consent to its very content, kept as a hash in
`$OCTAVO_HOME/consents.json`. A changed byte is not agreed to. Consent belongs to the repository as
a whole, its linked worktrees included; what a branch changes is asked about like any change, and
the last few contents agreed to stay so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.paths import consents_file, write_private
from octavo.config.settings import ProjectConfig
from octavo.config.trust import (
    Consented,
    decisions,
    is_trusted,
    read_executable,
    read_trust,
    repository_root,
    trust_unit,
)
from octavo.protocol.errors import ConfigError

Kind = Literal["rules", "environment", "mcp", "hooks", "skill"]
State = Literal["accepted", "new", "changed"]

_LIMIT_BYTES = 16 << 20
_REMEMBERED = 8
"""How many contents of one item are agreed to at the same time: branches differ."""
_KEPT_ITEM_CHARS = 64 << 10
_KEPT_CHARS = 4 << 20
_CONFIG_DIRECTORIES = (".octavo", ".codex", ".agents")


class Item(msgspec.Struct, frozen=True):
    """Something of a project's that executes or decides.

    Attributes:
        unit: the repository it belongs to, as trust knows it.
        path: relative to the checkout it is in.
        content: its very bytes; for a table of a settings file, that table written out.
    """

    kind: Kind
    unit: str
    path: str
    file: Path
    content: bytes

    @property
    def key(self) -> str:
        """What it is known by in its unit."""
        return f"{self.kind}:{self.path}"

    @property
    def digest(self) -> str:
        """Stands for its content."""
        return hashlib.sha256(self.content).hexdigest()


class _Agreed(msgspec.Struct, frozen=True, omit_defaults=True):
    digests: tuple[str, ...]
    """The newest last."""
    kept: str | None = None
    """The newest content, where it is text and not long: a change can then be shown."""


class Consents(msgspec.Struct, frozen=True):
    """What was agreed to: by unit, by item."""

    units: dict[str, dict[str, _Agreed]] = {}

    def state(self, item: Item) -> State:
        """Return whether exactly this was agreed to, or something else of the same name was."""
        agreed = self.units.get(item.unit, {}).get(item.key)
        if agreed is None:
            return "new"
        return "accepted" if item.digest in agreed.digests else "changed"

    def before(self, item: Item) -> str | None:
        """Return the content that was agreed to last; None where it was not kept."""
        agreed = self.units.get(item.unit, {}).get(item.key)
        return None if agreed is None else agreed.kept


def read_consents(home: Path) -> Consents:
    """Return what was agreed to.

    Raises:
        ConfigError: the file is there but cannot be read or understood.
    """
    path = consents_file(home)
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Consents()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return msgspec.json.decode(data, type=Consents)
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is damaged, so nothing in it counts.",
            hint="Delete it and run `octavo trust` again where you need it.",
        ) from None


def accept(home: Path, items: Iterable[Item]) -> None:
    """Agree to `items` as they are in memory: what was shown is what is agreed to.

    Raises:
        ConfigError: the file cannot be read or written; nothing was changed.
    """
    units = {unit: dict(known) for unit, known in read_consents(home).units.items()}
    for item in items:
        known = units.setdefault(item.unit, {})
        old = known.pop(item.key, None)
        digests = [digest for digest in (old.digests if old else ()) if digest != item.digest]
        kept = (*digests, item.digest)[-_REMEMBERED:]
        known[item.key] = _Agreed(kept, _text(item.content))
    write_private(consents_file(home), msgspec.json.encode(Consents(_bounded(units))) + b"\n")


def forget(home: Path, directory: Path) -> None:
    """Take back every consent for what `directory` belongs to.

    Raises:
        ConfigError: the file cannot be read or written; nothing was changed.
    """
    units = dict(read_consents(home).units)
    if units.pop(str(trust_unit(directory)), None) is not None:
        write_private(consents_file(home), msgspec.json.encode(Consents(units)) + b"\n")


def item_of(kind: Kind, file: Path, content: bytes) -> Item:
    """Return the item that `content` of `file` is; links in the file's directory are followed."""
    real = Path(os.path.realpath(file.parent)) / file.name
    root = repository_root(real.parent)
    owner = _owner(real) if root is None else root
    unit = trust_unit(owner)
    return Item(kind, str(unit), os.path.relpath(real, owner), file, content)


def consented(
    files: Sequence[Path],
    *,
    home: Path,
    projects: Mapping[str, ProjectConfig],
    env: Mapping[str, str],
    kind: Kind = "rules",
) -> tuple[tuple[Consented, ...], dict[Path, str]]:
    """Return those of a project's files that the person agreed to, and why the others do not count.

    Whoever uses them takes these bytes and does not read the file again.

    Raises:
        ConfigError: a file that may count cannot be read.
    """
    try:
        decided = decisions(read_trust(home), projects, env)
        consents = read_consents(home)
    except ConfigError as error:
        return (), dict.fromkeys(files, str(error))
    agreed: list[Consented] = []
    refused: dict[Path, str] = {}
    for file in files:
        if not is_trusted(file.parent, decided):
            refused[file] = "its directory is not trusted"
            continue
        item = item_of(kind, file, read_executable(file))
        state = consents.state(item)
        if state == "accepted":
            agreed.append(Consented(file, item.content))
        else:
            refused[file] = why_not(state)
    return tuple(agreed), refused


def why_not(state: State) -> str:
    """Say why an item does not count, after "because"."""
    if state == "changed":
        return "it has changed since you accepted it"
    return "you have not accepted what is in it"


def environment_item(file: Path, table: object) -> Item:
    """Return the item that `shell_environment_policy` of a project's settings file is."""
    written = msgspec.json.encode(table, order="sorted")
    return item_of("environment", file, msgspec.json.format(written, indent=2) + b"\n")


def agrees(home: Path, item: Item) -> str | None:
    """Return why an item does not count; None: the person agreed to exactly this."""
    try:
        state = read_consents(home).state(item)
    except ConfigError as error:
        return str(error)
    return None if state == "accepted" else why_not(state)


def _owner(file: Path) -> Path:
    """Return the directory outside of any repository that a file configures."""
    for place in file.parents:
        if place.name in _CONFIG_DIRECTORIES:
            return place.parent
    return file.parent


def _text(content: bytes) -> str | None:
    if len(content) > _KEPT_ITEM_CHARS:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _bounded(units: dict[str, dict[str, _Agreed]]) -> dict[str, dict[str, _Agreed]]:
    """Leave out contents once they are too many; the digests stay."""
    left = _KEPT_CHARS
    bounded: dict[str, dict[str, _Agreed]] = {}
    for unit, known in reversed(units.items()):
        kept: dict[str, _Agreed] = {}
        for key, agreed in reversed(known.items()):
            left -= len(agreed.kept or "")
            kept[key] = agreed if left >= 0 else _Agreed(agreed.digests)
        bounded[unit] = dict(reversed(kept.items()))
    return dict(reversed(bounded.items()))
