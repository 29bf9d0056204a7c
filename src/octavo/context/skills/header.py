"""What a SKILL.md says of itself, and whether it may.

The limits are the specification's. Fields it does not name are left alone and only pointed out
(`advice`), because other tools have fields of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from octavo.context.skills import SkillError
from octavo.context.skills.front_matter import Value, fields, front_matter

NAME_LIMIT_CHARS = 64
DESCRIPTION_LIMIT_CHARS = 1024
COMPATIBILITY_LIMIT_CHARS = 500
BODY_ADVISED_LINES = 500
BODY_ADVISED_BYTES = 20_000
"""About 5,000 tokens."""

_FIELDS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Header(msgspec.Struct, frozen=True):
    """The front matter, valid.

    Attributes:
        allowed_tools: what the author would have allowed without asking. Octavo shows it, and
            grants nothing for it.
        other: names of fields the specification does not have.
    """

    name: str
    description: str
    license: str | None = None
    compatibility: str | None = None
    metadata: Mapping[str, str] = {}
    allowed_tools: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


def read_header(head: bytes, folder: str) -> Header:
    """Return what a SKILL.md says of itself.

    Args:
        head: the file's beginning; see `front_matter`.
        folder: name of the folder it is in.

    Raises:
        SkillError: it breaks the format; says everything that is wrong.
    """
    text, _ = front_matter(head)
    found = fields(text)
    problems = [*_name_problems(found.get("name"), folder), *_problems(found)]
    if problems:
        raise SkillError(" ".join(problems))
    tools = found.get("allowed-tools", "")
    words = tools.split() if isinstance(tools, str) else tools
    metadata = found.get("metadata") or {}
    assert isinstance(metadata, dict)
    return Header(
        name=str(found["name"]),
        description=str(found["description"]).strip(),
        license=_optional(found, "license"),
        compatibility=_optional(found, "compatibility"),
        metadata={key: str(value) for key, value in metadata.items()},
        allowed_tools=tuple(str(word) for word in words),
        other=tuple(sorted(set(found) - set(_FIELDS))),
    )


def name_problem(name: str) -> str | None:
    """Return what is wrong with a skill's name; None if nothing is."""
    if not name:
        return "The name is empty."
    if len(name) > NAME_LIMIT_CHARS:
        return f"The name has {len(name)} characters; at most {NAME_LIMIT_CHARS} are allowed."
    if not _NAME_CHARS.issuperset(name):
        return f"The name {_shown(name)} may only have a to z, 0 to 9 and hyphens."
    if name[0] == "-" or name[-1] == "-" or "--" in name:
        return f"The name {_shown(name)} has a hyphen at its start, its end or beside another one."
    return None


UNFILLED = b"1. Say here what to do first, with the exact command.\n"
"""The first step of a new skill, until somebody writes one."""


def advice(header: Header, body: bytes) -> list[str]:
    """Return what is not wrong and could be better, one sentence each."""
    found = []
    if header.other:
        names = ", ".join(map(_shown, header.other[:8]))
        found.append(f"The specification has no field {names}; other tools may ignore the skill.")
    if len(header.description) < 20 or " " not in header.description:
        found.append("The description should say what the skill does and when to use it.")
    lines = body.count(b"\n")
    if lines > BODY_ADVISED_LINES:
        found.append(
            f"The instructions have {lines} lines. Keep them under {BODY_ADVISED_LINES}, and move "
            "details to files in references/ that they point to."
        )
    elif len(body) > BODY_ADVISED_BYTES:
        found.append(
            f"The instructions have {len(body)} bytes, about {len(body) // 4} tokens. Keep them "
            "under 5000 tokens, and move details to files in references/."
        )
    if UNFILLED in body:
        found.append("The instructions are still those of `octavo skills new`: fill them in.")
    if not body.strip():
        found.append("There are no instructions below the front matter.")
    return found


def _name_problems(name: Value | None, folder: str) -> list[str]:
    if name is None:
        return ["The field `name` is missing."]
    if not isinstance(name, str):
        return ["The field `name` must be a word."]
    problem = name_problem(name)
    if problem is not None:
        return [problem]
    if name != folder:
        return [f"The name {_shown(name)} must be that of its folder, {_shown(folder)}."]
    return []


def _problems(found: Mapping[str, Value]) -> list[str]:
    problems = []
    description = found.get("description")
    if description is None:
        problems.append("The field `description` is missing.")
    elif not isinstance(description, str) or not description.strip():
        problems.append("The field `description` must be a text that is not empty.")
    elif len(description) > DESCRIPTION_LIMIT_CHARS:
        problems.append(
            f"The description has {len(description)} characters; at most "
            f"{DESCRIPTION_LIMIT_CHARS} are allowed."
        )
    if not isinstance(found.get("license", ""), str):
        problems.append("The field `license` must be a text.")
    compatibility = found.get("compatibility", "-")
    if not isinstance(compatibility, str) or not compatibility.strip():
        problems.append("The field `compatibility` must be a text that is not empty.")
    elif len(compatibility) > COMPATIBILITY_LIMIT_CHARS:
        problems.append(
            f"The field `compatibility` has {len(compatibility)} characters; at most "
            f"{COMPATIBILITY_LIMIT_CHARS} are allowed."
        )
    metadata = found.get("metadata") or {}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        problems.append("The field `metadata` must map names to texts, without further levels.")
    tools = found.get("allowed-tools", "")
    if not isinstance(tools, str) and not (
        isinstance(tools, list) and all(isinstance(tool, str) for tool in tools)
    ):
        problems.append("The field `allowed-tools` must be a text, or a list of texts.")
    return problems


def _optional(found: Mapping[str, Value], name: str) -> str | None:
    value = found.get(name)
    return value.strip() if isinstance(value, str) else None


def _shown(name: str) -> str:
    text = name if len(name) <= NAME_LIMIT_CHARS else f"{name[:NAME_LIMIT_CHARS]}…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text).join("``")
