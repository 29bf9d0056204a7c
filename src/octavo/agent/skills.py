"""The skills of one thread: found once a turn, given whole when the user names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from octavo.config.load import Loaded
from octavo.config.paths import expand, user_home
from octavo.context.assemble import ContextItem
from octavo.context.skills import SkillError
from octavo.context.skills.find import Found, find_skills
from octavo.context.skills.listing import skills_text
from octavo.context.skills.roots import skill_roots
from octavo.protocol.errors import ConfigError
from octavo.protocol.inputs import Skill, Text, UserInput
from octavo.protocol.visible import visible_line


def look(loaded: Loaded, env: Mapping[str, str], cwd: Path) -> Found:
    """Return the skills that hold for a thread in `cwd`."""
    settings = loaded.settings.skills
    try:
        person = user_home(env)
    except ConfigError:
        person = None
    roots = skill_roots(
        cwd,
        home=loaded.home,
        user_home=person,
        project_root=loaded.project_root,
        trusted=loaded.trusted,
        bundled=settings.bundled.enabled,
    )
    off = {
        expand(one.path, env) if one.path else one.name or ""
        for one in settings.config
        if not one.enabled
    }
    return find_skills(roots, home=loaded.home, off=off)


class Skills:
    """What a turn's prompt says of skills.

    The folders are read once a turn, not once a request: a list that changes in the middle of a
    turn would be said again.
    """

    def __init__(self, loaded: Loaded, env: Mapping[str, str], cwd: Path) -> None:
        self._loaded = loaded
        self._env = env
        self._cwd = cwd
        self._found: Found | None = None

    @property
    def found(self) -> Found:
        if self._found is None:
            self._found = look(self._loaded, self._env, self._cwd)
        return self._found

    def text(self, window_tokens: int) -> str:
        """Return the list for the model."""
        if not self._loaded.settings.skills.include_instructions:
            return ""
        return skills_text(self.found.usable, window_tokens)

    def named(self, inputs: Sequence[UserInput]) -> tuple[list[ContextItem], list[str]]:
        """Return the skills that a message names, as items to follow it, and warnings.

        A warning says why one is not given, or not all of it.
        """
        if not any(map(_may_name_one, inputs)):
            return [], []
        from octavo.context.skills.bodies import LIMIT_BYTES, skill_body
        from octavo.context.skills.mentions import named_skills

        skills, missing = named_skills(inputs, self.found.skills)
        items: list[ContextItem] = []
        warnings: list[str] = []
        for name in missing:
            shown = visible_line(name)
            warnings.append(
                f"There is no skill '{shown}'. `octavo skills list` shows those there are."
            )
        for skill in skills:
            try:
                body = skill_body(skill, self._loaded.home)
            except SkillError as error:
                warnings.append(str(error))
                continue
            items.append(body.item)
            if body.cut:
                warnings.append(
                    f"The skill {skill.name} is larger than {LIMIT_BYTES >> 10} KiB; the rest is "
                    "left to the model to read."
                )
        return items, warnings


def _may_name_one(given: UserInput) -> bool:
    return isinstance(given, Skill) or (isinstance(given, Text) and "$" in given.text)
