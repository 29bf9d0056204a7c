"""What a client may ask about skills: `skills/list` as Codex has it, and octavo's own.

Apart from `methods`, as no thread needs it at its start.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Literal

import msgspec

from octavo.protocol.methods import Method

SkillScope = Literal["user", "repo", "system", "admin"]
SkillState = Literal["ok", "changed", "invalid", "shadowed", "disabled"]
Place = Literal["user", "project"]
"""Where a skill is put: for the user everywhere, or into the repository."""


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class SkillsListParams(_Wire, frozen=True):
    """`cwds` empty: the server's own working directory."""

    cwds: tuple[str, ...] | None = None
    force_reload: bool | None = None


class SkillMetadata(_Wire, frozen=True):
    """One skill, with the fields of Codex and no other."""

    name: str
    description: str
    path: str
    """Of its SKILL.md."""
    scope: SkillScope
    enabled: bool


class SkillErrorInfo(_Wire, frozen=True):
    path: str
    message: str


class SkillsListEntry(_Wire, frozen=True):
    cwd: str
    skills: tuple[SkillMetadata, ...]
    errors: tuple[SkillErrorInfo, ...]


class SkillsListResult(_Wire, frozen=True):
    data: tuple[SkillsListEntry, ...]


class SkillInfo(_Wire, frozen=True, kw_only=True):
    """One skill with all octavo knows about it."""

    name: str
    description: str
    path: str
    root: str
    scope: SkillScope
    state: SkillState
    reason: str = ""
    """Why it is not used; "" if it is."""
    trusted: bool = True
    """False: it is of a repository that the person does not trust."""
    pinned: bool = False
    """It is used only as long as its bytes are those that were agreed to."""
    source: str = ""
    source_path: str = ""
    ref: str | None = None
    commit: str | None = None
    edited: bool = False
    """It was changed after it was copied from there, and accepted so."""
    sha256: str = ""
    """What was agreed to."""


class CwdParams(_Wire, frozen=True):
    """None: the server's own working directory."""

    cwd: str | None = None


class SkillsDetailsResult(_Wire, frozen=True):
    data: tuple[SkillInfo, ...]
    problems: tuple[str, ...]
    """Of roots and lockfiles, one sentence each."""


class SkillNameParams(_Wire, frozen=True):
    """`name`, or the path of its folder or SKILL.md."""

    name: str
    cwd: str | None = None


class SkillReadResult(_Wire, frozen=True, kw_only=True):
    skill: SkillInfo
    text: str
    """Its SKILL.md, hiding characters made visible; cut after 256 KiB."""
    files: tuple[str, ...]
    license: str | None = None
    compatibility: str | None = None
    metadata: dict[str, str] = {}
    allowed_tools: tuple[str, ...] = ()
    """What the author would have allowed; octavo allows nothing for it."""


class SkillCheckParams(_Wire, frozen=True):
    """The path of a folder, or of its SKILL.md."""

    path: str


class SkillCheckResult(_Wire, frozen=True):
    problems: tuple[str, ...]
    """What breaks the format; none: it is a skill."""
    advice: tuple[str, ...]


class SkillCreateParams(_Wire, frozen=True):
    name: str
    description: str
    place: Place = "user"
    cwd: str | None = None


class SkillCreateResult(_Wire, frozen=True):
    path: str


class SkillAddParams(_Wire, frozen=True, kw_only=True):
    """`source`: a folder, or a git address with perhaps "#subfolder"."""

    source: str
    path: str | None = None
    ref: str | None = None
    name: str | None = None
    place: Place = "user"
    cwd: str | None = None


class SkillAddResult(_Wire, frozen=True):
    skill: SkillInfo
    files: tuple[str, ...]
    executables: tuple[str, ...]


class SkillRemoveParams(_Wire, frozen=True):
    name: str
    force: bool = False
    cwd: str | None = None


class SkillRemoveResult(_Wire, frozen=True):
    path: str
    """What was removed."""


class SkillChangeResult(_Wire, frozen=True):
    """How a skill differs from what was agreed to."""

    skill: SkillInfo
    sha256: str
    """Of the folder now; give it back to agree to exactly this."""
    lines: tuple[str, ...]
    agreed: bool = False
    """The person has agreed to just this before."""


class SkillAcceptParams(_Wire, frozen=True):
    name: str
    sha256: str
    cwd: str | None = None


class SkillResult(_Wire, frozen=True):
    skill: SkillInfo


SKILLS_LIST = Method("skills/list", SkillsListParams, SkillsListResult)
SKILLS_DETAILS = Method("octavo/skills/list", CwdParams, SkillsDetailsResult)
SKILLS_READ = Method("octavo/skills/read", SkillNameParams, SkillReadResult)
SKILLS_CHECK = Method("octavo/skills/check", SkillCheckParams, SkillCheckResult)
SKILLS_CREATE = Method("octavo/skills/create", SkillCreateParams, SkillCreateResult)
SKILLS_ADD = Method("octavo/skills/add", SkillAddParams, SkillAddResult)
SKILLS_REMOVE = Method("octavo/skills/remove", SkillRemoveParams, SkillRemoveResult)
SKILLS_CHANGE = Method("octavo/skills/change", SkillNameParams, SkillChangeResult)
"""Says what `octavo/skills/accept` would agree to; changes nothing."""
SKILLS_ACCEPT = Method("octavo/skills/accept", SkillAcceptParams, SkillResult)
