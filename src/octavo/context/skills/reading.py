"""Opening a SKILL.md that anybody may have put there.

It may be a link to a secret, a pipe that never ends, or gigabytes. So it is opened only where it
really is inside its folder, and that inside its repository; only if it is a plain file; without
waiting; and no more is read than asked for.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from octavo.context.skills import FILE, Root, SkillError

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_skill_file(folder: Path, root: Root, limit_bytes: int) -> tuple[bytes, os.stat_result]:
    """Return the beginning of a skill's SKILL.md, and the state of the file it came from.

    Raises:
        SkillError: there is none to read; says why.
    """
    try:
        place = Path(os.path.realpath(folder, strict=True))
        if root.inside is not None and not place.is_relative_to(root.inside):
            raise SkillError("Its folder links out of the repository.")
        real = Path(os.path.realpath(folder / FILE, strict=True))
        if not real.is_relative_to(place):
            raise SkillError(f"{FILE} links out of the skill.")
        if real.is_dir():
            raise SkillError(f"{FILE} is a folder, not a file.")
        with open(_open(place, real), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SkillError(f"{FILE} is a pipe or a device, not a file.")
            return file.read(limit_bytes), status
    except OSError as error:
        raise SkillError(why_unreadable(folder, error)) from None


def why_unreadable(folder: Path, error: OSError) -> str:
    """Return one sentence about a SKILL.md that could not be opened."""
    if isinstance(error, FileNotFoundError):
        if os.path.islink(folder / FILE):
            return f"{FILE} links to a file that is not there."
        try:
            other = next((name for name in os.listdir(folder) if name.lower() == "skill.md"), None)
        except OSError:
            other = None
        return f"It has no {FILE}." + (f" Rename {other} to {FILE}." if other else "")
    return f"{FILE} cannot be read: {(error.strerror or str(error)).lower()}."


def _open(place: Path, real: Path) -> int:
    """Open `real` from `place` down; a link put in its way meanwhile is not followed."""
    folder = os.open(place, _FOLDER)
    try:
        *folders, name = real.relative_to(place).parts
        for each in folders:
            below = os.open(each, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(name, _READ, dir_fd=folder)
    finally:
        os.close(folder)
