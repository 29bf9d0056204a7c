"""From files, `-c` and flags to one frozen `Settings`, each value with its origin.

Layers, lowest first: system, user, profile, project (outermost directory first), `-c`, flags. A
later layer wins setting by setting; tables are joined. A project's files count only where their
directory is trusted, and only for `keys.PROJECT_KEYS`. Each layer is checked by itself, so a wrong
value is reported with its file even when a later layer would have hidden it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from octavo.config.check import Check
from octavo.config.keys import parse_key
from octavo.config.layers import Layer, Source, lay
from octavo.config.overrides import parse_override
from octavo.config.paths import config_file, octavo_home, profile_file
from octavo.config.settings import Settings
from octavo.config.tables import Table, Tables
from octavo.config.trust import (
    decisions,
    is_trusted,
    marked_root,
    read_trust,
    repository_root,
)
from octavo.protocol.errors import ConfigError

SYSTEM_FILE = Path("/etc/octavo/config.toml")
PROJECT_FILE = Path(".octavo") / "config.toml"
HOOKS_FILE = "hooks.json"

_NO_FLAGS: Mapping[str, object] = {}


class Loaded(msgspec.Struct, frozen=True):
    """The settings, and what is known about where they hold."""

    settings: Settings
    sources: dict[str, Source]
    """Every value that some layer sets, by its dotted key; what is absent is a default."""
    warnings: tuple[str, ...]
    """For the person, one sentence each."""
    files: tuple[Path, ...]
    """The settings files that count, the strongest last."""
    home: Path
    project_root: Path
    """The nearest directory with one of `project_root_markers`, else the working directory."""
    repo_root: Path | None
    """The nearest directory with `.git`."""
    trusted: bool
    """The person trusts the working directory's repository."""
    project_hooks: tuple[tuple[Path, object], ...] = ()
    """What settings files of a trusted project say of hooks; see `hook_files`."""
    has_own: bool = True
    """The person's own settings count; see `load`."""
    layers: tuple[Layer, ...] = ()
    """What each of them says, the strongest last."""


def load(
    *,
    cwd: Path,
    env: Mapping[str, str],
    profile: str | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] = _NO_FLAGS,
    strict: bool = False,
    ignore_user_config: bool = False,
    system_file: Path = SYSTEM_FILE,
) -> Loaded:
    """Read every layer for a thread in `cwd`.

    Args:
        cwd: working directory; need not exist.
        env: for `OCTAVO_HOME` and `HOME` alone; no other variable is a setting.
        profile: name of a file beside the person's own settings.
        overrides: the arguments of `-c`, in order.
        flags: dotted key → value; a value of None is a flag that was not given.
        strict: a key octavo does not know is an error instead of a warning.
        ignore_user_config: leave out the user's file; a profile asked for still counts.

    Raises:
        ConfigError: a file cannot be read or parsed, or a value has the wrong type or bounds.
        UsageError: a `-c` argument is not key=value.
    """
    cwd = Path(os.path.abspath(cwd))
    home = octavo_home(env)
    tables = Tables(home)
    check = Check(cwd, home, env, strict=strict)

    low = [check.file(tables, "system", system_file)]
    if not ignore_user_config:
        low.append(check.file(tables, "user", config_file(home)))
    if profile is not None:
        low.append(check.file(tables, "profile", _profile(home, profile)))
    high = [
        check.given("override", map(parse_override, overrides)),
        check.given("flag", [(parse_key(k), v) for k, v in flags.items() if v is not None]),
    ]

    own, _ = _join([*low, *high])
    try:
        stored = read_trust(home)
    except ConfigError as error:
        stored = {}
        check.warnings.append(str(error))
    decided = decisions(stored, own.projects, env)
    root = marked_root(cwd, own.project_root_markers) or cwd
    project = [
        check.file(tables, "project", file)
        for file in project_files(root, cwd, home)
        if is_trusted(file.parent.parent, decided) or check.distrusted(file)
    ]

    layers = [*low, *project, *high]
    settings, sources = _join(layers)
    tables.save()
    return Loaded(
        settings=settings,
        sources=sources,
        warnings=tuple(check.warnings),
        files=tuple(layer.source.file for layer in layers if layer and layer.source.file),
        home=home,
        project_root=root,
        repo_root=repository_root(cwd),
        trusted=is_trusted(cwd, decided),
        project_hooks=tuple(check.hooks),
        has_own=not ignore_user_config,
        layers=tuple(filter(None, layers)),
    )


def may_have_hooks(loaded: Loaded, cwd: Path) -> bool:
    """Return whether there is anything that could name a hook; most threads have nothing."""
    if loaded.settings.hooks or loaded.project_hooks:
        return True
    own, *theirs = hook_files(loaded, cwd)
    places = [own, *theirs] if loaded.has_own else theirs
    return any(os.path.lexists(file) for file in places)


def hook_files(loaded: Loaded, cwd: Path) -> list[Path]:
    """Return where `hooks.json` may be, there or not: the person's own, then the project's.

    The person's is named also where their own settings do not count.
    """
    steps = [cwd, *cwd.parents]
    root = loaded.project_root
    inside = steps[: steps.index(root) + 1] if root in steps else [cwd]
    own = loaded.home / HOOKS_FILE
    theirs = [place / PROJECT_FILE.parent / HOOKS_FILE for place in reversed(inside)]
    return [own, *(file for file in theirs if file != own)]


def _profile(home: Path, name: str) -> Path:
    file = profile_file(home, name)
    if file.name != f"{name}.config.toml" or not name:
        raise ConfigError(f"{name!r} is not a profile's name.", hint="It has no slashes.")
    if not file.exists():
        there = sorted(p.name.removesuffix(".config.toml") for p in home.glob("?*.config.toml"))
        known = f"There are: {', '.join(there)}." if there else f"Make {file}."
        raise ConfigError(f"There is no profile {name!r}.", hint=known)
    return file


def project_files(root: Path, cwd: Path, home: Path) -> list[Path]:
    """Return the project's own files that exist, outermost first."""
    steps = [cwd, *cwd.parents]
    inside = steps[: steps.index(root) + 1]
    files = [place / PROJECT_FILE for place in reversed(inside)]
    return [file for file in files if file.parent != home and os.path.lexists(file)]


def _join(layers: Iterable[Layer | None]) -> tuple[Settings, dict[str, Source]]:
    table: Table = {}
    sources: dict[str, Source] = {}
    for layer in layers:
        if layer is not None:
            lay(table, layer.table, layer.source, sources)
    return msgspec.convert(table, Settings), sources
