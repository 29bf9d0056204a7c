"""Which bytes of a skill were agreed to, and where they came from.

Two files, alike. `$OCTAVO_HOME/skills.lock` is the person's own: what they added or accepted, for
their skills and for those of repositories (by what is trusted as a whole and the path in it, so
that work trees share it). Nothing in a repository can change it. `.agents/skills.lock` lies beside
a repository's skills and is shared with it: it proves nothing about consent, as whoever changes a
skill can change it too, but it says where a skill comes from, and that it is what was added.

A skill that one of them names is used only if its folder is exactly what it says.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from octavo.config.paths import write_private
from octavo.config.trust import repository_root, trust_unit
from octavo.context.skills import LOCK, Root, SkillError
from octavo.context.skills.folder import Entry
from octavo.protocol.visible import visible_line

_VERSION = 1
_LIMIT_BYTES = 16 << 20


class Pin(msgspec.Struct, frozen=True, omit_defaults=True):
    """One skill as it was agreed to.

    Attributes:
        sha256: of the folder; see `folder.checksum`.
        files: what it consists of.
        source: the address or folder it was copied from; "" if it was there.
        path: of the folder in the source.
        ref: the branch or tag that was asked for.
        commit: what that was.
        edited: it was changed after it was copied, and accepted so.
        accepted_at: seconds since 1970.
    """

    sha256: str
    files: dict[str, Entry]
    source: str = ""
    path: str = ""
    ref: str | None = None
    commit: str | None = None
    edited: bool = False
    accepted_at: int = 0


class _File(msgspec.Struct, frozen=True):
    version: int
    skills: dict[str, Pin]


class Lock:
    """One lockfile, read when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pins: Mapping[str, Pin] | None = None

    def pins(self) -> Mapping[str, Pin]:
        """Return what it says.

        Raises:
            SkillError: it is there and cannot be read or understood.
        """
        if self._pins is None:
            self._pins = _read(self.path)
        return self._pins

    def put(self, key: str, pin: Pin | None) -> None:
        """Write one pin, or take it out. Raises SkillError or ConfigError; nothing was changed."""
        pins = {**_read(self.path)}
        if pin is None:
            if pins.pop(key, None) is None:
                return
        else:
            pins[key] = pin
        self._pins = dict(sorted(pins.items()))
        data = msgspec.json.format(msgspec.json.encode(_File(_VERSION, self._pins)), indent=1)
        mode = 0o644 if self.path.parent.name == ".agents" else 0o600
        write_private(self.path, data + b"\n")
        os.chmod(self.path, mode)


class Locks:
    """The lockfiles that hold for some roots."""

    def __init__(self, home: Path) -> None:
        self.own = Lock(home / LOCK)
        self._shared: dict[Path, Lock] = {}
        self._places: dict[Path, str] = {}

    def shared(self, root: Root) -> Lock | None:
        """Return the lockfile beside a repository's skills."""
        if root.scope != "repo":
            return None
        path = root.path.parent / LOCK
        return self._shared.setdefault(path, Lock(path))

    def pins(self, root: Root, name: str) -> list[Pin]:
        """Return what was agreed to about a skill: nothing, or what it has to be.

        Raises:
            SkillError: a lockfile cannot be read or understood.
        """
        if root.scope == "system":
            return []
        shared = self.shared(root)
        found = [None if shared is None else shared.pins().get(name)]
        if self.own.pins():
            found.append(self.own.pins().get(self.key(root, name)))
        return [pin for pin in found if pin is not None]

    def agreed(self, root: Root, name: str) -> Pin | None:
        """Return what the person themselves agreed to; None if nothing, whatever a repository says.

        Raises:
            SkillError: their lockfile cannot be read or understood.
        """
        return None if root.scope == "system" else self.own.pins().get(self.key(root, name))

    def key(self, root: Root, name: str) -> str:
        """Return what a skill is called in the person's own lockfile."""
        place = self._places.get(root.path)
        if place is None:
            place = self._places[root.path] = _place(root)
        return f"{place}/{name}"


def _place(root: Root) -> str:
    real = Path(os.path.realpath(root.path))
    top = repository_root(real) if root.scope == "repo" else None
    return str(real if top is None else trust_unit(top) / real.relative_to(top))


def _read(path: Path) -> Mapping[str, Pin]:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _damaged(path, "is not a file")
            data = file.read(_LIMIT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _damaged(path, f"cannot be read ({(error.strerror or '').lower()})") from None
    if len(data) > _LIMIT_BYTES:
        raise _damaged(path, f"is larger than {_LIMIT_BYTES >> 20} MiB")
    try:
        file_ = msgspec.json.decode(data, type=_File)
    except msgspec.MsgspecError:
        raise _damaged(path, "is damaged") from None
    if file_.version != _VERSION:
        raise _damaged(path, "is of another version of octavo")
    return file_.skills


def _damaged(path: Path, why: str) -> SkillError:
    return SkillError(
        f"{visible_line(str(path))} {why}, so the skills it may speak of are not used.",
        hint="Restore it, or delete it to use them as they are.",
    )
