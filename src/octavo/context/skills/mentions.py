"""Which skills a message names: `$name`, `[$name](path)`, or the protocol's own skill input.

The rules are Codex's, so that prompts written for it mean the same: a name ends where something
other than a letter, digit, hyphen or underscore stands; names of common environment variables are
none; a path counts before a name. What came through a pipe beside the prompt names none: others may
have written it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from octavo.context.skills import FILE, Skill
from octavo.protocol.inputs import Skill as SkillInput
from octavo.protocol.inputs import Text, UserInput

_LINKED = r"\[\$([A-Za-z0-9_-]+)\]\s*\(([^)]*)\)"
_PLAIN = r"\$([A-Za-z0-9_-]+)"
_VARIABLES = frozenset("PATH HOME USER SHELL PWD TMPDIR TEMP TMP LANG TERM XDG_CONFIG_HOME".split())


def named_skills(
    inputs: Sequence[UserInput], skills: Iterable[Skill]
) -> tuple[list[Skill], list[str]]:
    """Return the skills that a message names, and what it asks for that is not there.

    Args:
        inputs: the message.
        skills: all there are, those that cannot be used too.
    """
    by_name: dict[str, Skill] = {}
    by_path: dict[str, Skill] = {}
    for skill in skills:
        by_path.update({os.fspath(skill.file): skill, os.fspath(skill.folder): skill})
        known = by_name.get(skill.name)
        is_better = skill.state == "ok" and known is not None and known.state == "shadowed"
        if known is None or known.state == "invalid" or is_better:  # one that can be used, if any
            by_name[skill.name] = skill
    found: dict[str, Skill] = {}
    missing: list[str] = []

    def take(skill: Skill | None) -> bool:
        if skill is None:
            return False
        found.setdefault(os.fspath(skill.file), skill)
        return True

    given_names = set()
    for given in inputs:
        if isinstance(given, SkillInput):
            given_names.add(given.name)
            if not take(by_path.get(_path(given.path))):
                missing.append(f"{given.name} ({given.path})")
    texts = [_typed(given.text) for given in inputs if isinstance(given, Text)]
    for text in texts:
        for name, path in re.findall(_LINKED, text):
            if not _is_variable(name) and take(by_path.get(_path(path.strip()))):
                given_names.add(name)
    for text in texts:
        for name in re.findall(_PLAIN, re.sub(_LINKED, " ", text)):
            if name not in given_names and not _is_variable(name):
                take(by_name.get(name))
    return list(found.values()), missing


def _typed(text: str) -> str:
    """Return `text` without what `octavo exec` puts behind a prompt from its stdin."""
    return text.partition("\n\n<stdin>\n")[0] if text.endswith("\n</stdin>") else text


def _path(path: str) -> str:
    path = path.removeprefix("skill://")
    folder, name = os.path.split(path)
    return os.path.join(folder, FILE) if name.lower() == FILE.lower() else path


def _is_variable(name: str) -> bool:
    return name.upper() in _VARIABLES
