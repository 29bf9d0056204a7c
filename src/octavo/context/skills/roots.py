"""Where skills are looked for, the first root winning where two have a skill of one name."""

from __future__ import annotations

import os
from pathlib import Path

from octavo.context.skills import Root

IN_REPOSITORY = Path(".agents") / "skills"
BUNDLED = Path(__file__).parents[2] / "skills"
"""Octavo's own, part of the package."""


def skill_roots(
    cwd: Path,
    *,
    home: Path,
    user_home: Path | None,
    project_root: Path,
    trusted: bool,
    bundled: bool = True,
) -> list[Root]:
    """Return the roots that hold for a thread in `cwd`, in order of precedence.

    Args:
        cwd: the working directory; absolute.
        home: `$OCTAVO_HOME`.
        user_home: the person's own home.
        project_root: where a repository's roots end, at or above `cwd`.
        trusted: the person trusts the repository.
        bundled: octavo's own count.
    """
    own = [home / "skills"]
    if user_home is not None:
        own.append(user_home / IN_REPOSITORY)
    inside = Path(os.path.realpath(project_root))
    repository = [
        Root(folder / IN_REPOSITORY, "repo", inside=inside, trusted=trusted)
        for folder in _up(cwd, project_root)
        if folder / IN_REPOSITORY not in own
    ]
    users = [Root(path, "user") for path in own]
    return [*repository, *users, *([Root(BUNDLED, "system")] if bundled else [])]


def _up(cwd: Path, root: Path) -> list[Path]:
    """Return the folders from `cwd` up to `root`; `cwd` alone where `root` is not above it."""
    steps = [cwd, *cwd.parents]
    return steps[: steps.index(root) + 1] if root in steps else [cwd]
