"""Skills: folders with instructions for one kind of work, in the Agent Skills format.

A skill is a folder with a `SKILL.md`: YAML front matter (its name, and a description of when to use
it) and instructions below. The model is told names and descriptions (`listing`) and reads a skill
when it needs it; what the user names is given whole (`bodies`). `header` holds the format's rules,
`find` looks for skills in their roots (`roots`), `lock` and `folder` know which bytes were agreed
to. A skill is words of whoever wrote it: it grants nothing, and its scripts are commands like any
other, in the cage.

Rules: https://agentskills.io/specification, as of 2026-10.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from octavo.protocol.errors import OctavoError
from octavo.protocol.visible import visible_line

FILE = "SKILL.md"
HEAD_LIMIT_BYTES = 16 << 10
"""Of the front matter; its fields have room for a tenth of it."""
LOCK = "skills.lock"
"""Name of a lockfile; see `lock`."""

Scope = Literal["repo", "user", "system"]
"""Whose it is: the repository's, the user's own, or octavo's."""

State = Literal["ok", "changed", "invalid", "shadowed", "disabled"]


class SkillError(OctavoError):
    """A skill cannot be used, or not be changed as asked; says why."""

    code = "skill"


class Root(msgspec.Struct, frozen=True):
    """A folder whose sub-folders are skills.

    Attributes:
        path: where it is; need not exist.
        inside: what its skills may not link out of; None where the user's own links are followed.
        trusted: the user wrote or chose what is in it, or trusts its repository.
    """

    path: Path
    scope: Scope
    inside: Path | None = None
    trusted: bool = True


class Skill(msgspec.Struct, frozen=True):
    """A folder in a root, usable or not.

    Attributes:
        name: of the folder, which is that of the skill.
        reason: why it cannot be used, one sentence; "" if it can.
        pinned: its bytes were agreed to, and are these.
        agreed: the user themselves agreed to them.
    """

    name: str
    description: str
    root: Root
    state: State = "ok"
    reason: str = ""
    pinned: bool = False
    agreed: bool = False

    @property
    def folder(self) -> Path:
        """Where it is. Made when it is asked for: there may be hundreds of skills."""
        return self.root.path / self.name

    @property
    def file(self) -> Path:
        """Its instructions."""
        return self.root.path / self.name / FILE


def not_used(skill: Skill, why: str) -> str:
    """Return what a person is told about a skill that is not used."""
    text = f"The skill {visible_line(str(skill.folder))} is not used: {why}"
    if skill.state == "changed":
        text += f" `octavo skills accept {visible_line(skill.name)}` shows the difference."
    return text
