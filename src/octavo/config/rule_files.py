"""Where a person's rules are, and those a project brings.

`*.rules` in the system's directory, in octavo's own, and in `.octavo/rules` of the directories from
the project's root to the working directory; the latter only as far as `consent.consented` lets them
count. Finding them is here; what they mean is in `octavo.policy.rules`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from octavo.config.load import Loaded
from octavo.config.trust import Consented, read_executable
from octavo.protocol.errors import ConfigError

SYSTEM_RULES = Path("/etc/octavo/rules")
PROJECT_RULES = Path(".octavo") / "rules"
SUFFIX = ".rules"


class RuleFiles(msgspec.Struct, frozen=True):
    """The files that count, the weakest place first, each as it was read; and those that do not."""

    own: tuple[Consented, ...]
    """The person's and the system's."""
    project: tuple[Consented, ...] = ()
    ignored: dict[Path, str] = {}
    """With the reason, after "because"."""


def read_rule_files(loaded: Loaded, cwd: Path, env: Mapping[str, str]) -> RuleFiles:
    """Read every rule file that counts in `cwd`.

    Raises:
        ConfigError: one of them, or a directory of them, cannot be read: no rule may be lost.
    """
    own = [*_in(SYSTEM_RULES), *_in(loaded.home / "rules")]
    files = [Consented(path, read_executable(path)) for path in own]
    theirs = project_rule_files(loaded, cwd)
    if not theirs:
        return RuleFiles(tuple(files))
    from octavo.config.consent import consented  # most projects have no rules

    agreed, ignored = consented(
        theirs, home=loaded.home, projects=loaded.settings.projects, env=env
    )
    return RuleFiles(tuple(files), agreed, ignored)


def rules_stamp(loaded: Loaded, cwd: Path) -> tuple[object, ...]:
    """Return what changes when any of these files, or the trust in them, does."""
    paths = [*_in(SYSTEM_RULES), *_in(loaded.home / "rules"), *project_rule_files(loaded, cwd)]
    own = [loaded.home / "trust.json", loaded.home / "consents.json"]
    return tuple((str(path), *_stamp(path)) for path in [*paths, *own])


def project_rule_files(loaded: Loaded, cwd: Path) -> list[Path]:
    """Return the rule files that a project brings, agreed to or not, outermost first."""
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
