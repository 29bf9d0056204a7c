"""Which directories the person trusts.

Trust is about a Git repository as a whole, or a directory outside any. It lives in
`$OCTAVO_HOME/trust.json` (and, by hand, in `projects` of the person's own settings), never in
anything a repository contains. The nearest answer counts; where two disagree about one directory,
"untrusted" wins; no answer means untrusted. A repository inside a trusted directory is not trusted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.paths import expand, read_private, trust_file, write_private
from octavo.config.settings import ProjectConfig
from octavo.protocol.errors import ConfigError

Level = Literal["trusted", "untrusted"]

_LIMIT_BYTES = 4 << 20
_POINTER_LIMIT_BYTES = 8192
_EXECUTABLE_LIMIT_BYTES = 256 << 10


class _File(msgspec.Struct, frozen=True):
    projects: dict[str, Level] = {}


def read_trust(home: Path) -> dict[str, Level]:
    """Return what the trust file says, by directory.

    Raises:
        ConfigError: the file is there but cannot be read or understood.
    """
    path = trust_file(home)
    data = read_private(path, limit_bytes=_LIMIT_BYTES)
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=_File).projects
    except msgspec.MsgspecError:
        raise ConfigError(
            f"{path} is damaged, so nothing in it is trusted.",
            hint="Delete it and run `octavo trust` again where you need it.",
        ) from None


def is_agreed(
    file: Path, *, home: Path, projects: Mapping[str, ProjectConfig], env: Mapping[str, str]
) -> bool:
    """Whether the repository of a file is trusted at all; see `consent` for the file itself."""
    try:
        return is_trusted(file.parent, decisions(read_trust(home), projects, env))
    except ConfigError:
        return False


def decisions(
    stored: Mapping[str, Level], projects: Mapping[str, ProjectConfig], env: Mapping[str, str]
) -> dict[str, Level]:
    """Join what the trust file and the settings say; "untrusted" wins."""
    joined = dict(stored)
    for name, project in projects.items():
        path = _real(expand(name, env))
        if project.trust_level == "untrusted" or (project.trust_level and path not in joined):
            joined[path] = project.trust_level
    return joined


def is_trusted(directory: Path, decided: Mapping[str, Level]) -> bool:
    """Whether the repository that holds `directory` is trusted."""
    if not decided:
        return False
    unit = trust_unit(directory)
    if repository_root(directory) is not None:
        return decided.get(str(unit)) == "trusted"
    for place in (unit, *unit.parents):
        level = decided.get(str(place))
        if level is not None:
            return level == "trusted"
    return False


def read_executable(path: Path) -> bytes:
    """Return what a file that decides or runs holds.

    Raises:
        ConfigError: it cannot be read, is no plain file, or is too large to be one of those.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(number, "rb") as file:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise ConfigError(f"{path} is not a file.")
            data = file.read(_EXECUTABLE_LIMIT_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > _EXECUTABLE_LIMIT_BYTES:
        raise ConfigError(f"{path} is larger than {_EXECUTABLE_LIMIT_BYTES >> 10} KiB.")
    return data


def set_trust(home: Path, directory: Path, level: Level) -> Path:
    """Remember `level` for what `directory` belongs to, and return that.

    Raises:
        ConfigError: the trust file cannot be read or written; nothing was changed.
    """
    unit = trust_unit(directory)
    projects = {**read_trust(home), str(unit): level}
    file = _File(projects=dict(sorted(projects.items())))
    data = msgspec.json.format(msgspec.json.encode(file), indent=2)
    write_private(trust_file(home), data + b"\n")
    return unit


def trust_unit(directory: Path) -> Path:
    """Return what is trusted or not as a whole: the main checkout of the Git repository that holds
    `directory`, else `directory` itself. Symbolic links are followed."""
    real = Path(_real(directory))
    root = repository_root(real)
    if root is None:
        return real
    return _main_checkout(root) or root


def repository_root(directory: Path) -> Path | None:
    """Return the nearest directory at or above `directory` with a `.git`; no Git is run."""
    return marked_root(Path(_real(directory)), (".git",))


def marked_root(directory: Path, markers: tuple[str, ...]) -> Path | None:
    """Return the nearest directory at or above `directory` that holds one of `markers`."""
    path = str(directory)
    while True:
        for marker in markers:
            if _marks(os.path.join(path, marker)):
                return Path(path)
        parent = os.path.dirname(path)
        if parent == path:
            return None
        path = parent


def _marks(path: str) -> bool:
    """Whether `path` is there. An empty `.git` is no repository: a sandbox may hold its place."""
    if os.path.basename(path) != ".git":
        return os.path.lexists(path)
    try:
        return bool(os.listdir(path))
    except FileNotFoundError:
        return os.path.lexists(path)
    except OSError:  # a file, as in a linked worktree, or one that cannot be read
        return True


def _main_checkout(root: Path) -> Path | None:
    """Return the main checkout of a linked worktree at `root`; None if it is not truly one.

    A `.git` file can point anywhere, so it counts only if the repository points back at it.
    """
    pointer = _read_pointer(root / ".git")
    if pointer is None or not pointer.startswith("gitdir: ") or not pointer.isprintable():
        return None
    private = Path(_real(root / pointer.removeprefix("gitdir: ")))
    back = _read_pointer(private / "gitdir")
    common = private.parent.parent
    if (
        not back
        or not back.isprintable()
        or private.parent.name != "worktrees"
        or common.name != ".git"
    ):
        return None
    if _real(private / back) != _real(root / ".git"):
        return None
    return common.parent


def _read_pointer(file: Path) -> str | None:
    try:
        if not file.is_file():
            return None
        with open(file, "rb") as opened:
            return opened.read(_POINTER_LIMIT_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _real(path: str | Path) -> str:
    return os.path.realpath(path)
