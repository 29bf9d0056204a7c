"""Where a person's rules are, and those a project brings.

`*.rules` in the system's directory, in octavo's own, and in `.octavo/rules` of the directories from
the project's root to the working directory; the latter only as far as the person agreed to what
count. Finding them is here; what they mean is in `octavo.policy.rules`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from octavo.config.consent import items
from octavo.config.load import Loaded
from octavo.config.paths import consents_file
from octavo.config.trust import is_agreed, read_executable
from octavo.protocol.errors import ConfigError

SYSTEM_RULES = Path("/etc/octavo/rules")
PROJECT_RULES = Path(".octavo") / "rules"
SUFFIX = ".rules"


class RuleFile(msgspec.Struct, frozen=True):
    """One file, and what it held when it was read."""

    path: Path
    content: bytes


class RuleFiles(msgspec.Struct, frozen=True):
    """The files that count, the weakest place first, each as it was read; and those that do not."""

    own: tuple[RuleFile, ...]
    """The person's and the system's."""
    project: tuple[RuleFile, ...] = ()
    ignored: tuple[Path, ...] = ()


def read_rule_files(loaded: Loaded, cwd: Path, env: Mapping[str, str]) -> RuleFiles:
    """Read every rule file that counts in `cwd`.

    Raises:
        ConfigError: one of them, or a directory of them, cannot be read: no rule may be lost.
    """
    own = [*_in(SYSTEM_RULES), *_in(loaded.home / "rules")]
    files = [RuleFile(path, read_executable(path)) for path in own]
    theirs = _of_project(loaded, cwd)
    if not theirs:
        return RuleFiles(tuple(files))
    trusted = [
        path
        for path in theirs
        if is_agreed(path, home=loaded.home, projects=loaded.settings.projects, env=env)
    ]
    agreed = tuple(
        RuleFile(item.path, item.content)
        for item in items(loaded.home, trusted)
        if item.state == "accepted"
    )
    known = {one.path for one in agreed}
    ignored = tuple(path for path in theirs if path not in known)
    return RuleFiles(tuple(files), agreed, ignored)


def rules_stamp(loaded: Loaded, cwd: Path) -> tuple[object, ...]:
    """Return what changes when any of these files, or the trust in them, does."""
    paths = [*_in(SYSTEM_RULES), *_in(loaded.home / "rules"), *_of_project(loaded, cwd)]
    return tuple((str(path), *_stamp(path)) for path in [*paths, *_kept(loaded.home)])


def _kept(home: Path) -> tuple[Path, Path]:
    return home / "trust.json", consents_file(home)


def project_rules(loaded: Loaded, cwd: Path) -> list[Path]:
    """Return the rule files that a project brings, whether they count or not."""
    return _of_project(loaded, cwd)


def _of_project(loaded: Loaded, cwd: Path) -> list[Path]:
    steps = [cwd, *cwd.parents]
    root = loaded.project_root
    inside = steps[: steps.index(root) + 1] if root in steps else [cwd]
    places = [place / PROJECT_RULES for place in reversed(inside)]
    return [path for place in places if place.parent != loaded.home for path in _in(place)]


def _in(directory: Path) -> list[Path]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"The rules in {directory} cannot be read: {error.strerror}.") from None
    return [directory / name for name in names]


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
