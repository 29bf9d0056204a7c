"""Looking for skills: what is in the roots, whether it can be used, and which of a name counts.

Most starts find what they remember and no lockfile, so what reads either is imported when needed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from octavo.context.skills import (
    FILE,
    HEAD_LIMIT_BYTES,
    LOCK,
    Root,
    Skill,
    SkillError,
    State,
    not_used,
)
from octavo.context.skills.cache import Cache, Said, Sum, stamp_of
from octavo.protocol.visible import visible_line

if TYPE_CHECKING:
    from octavo.context.skills.lock import Locks, Pin

SKILLS_LIMIT = 1000
"""How many folders of one root are looked at."""
NOTICES_LIMIT = 5
_NAMED = 4
_DAMAGED = "A lockfile that may speak of it is damaged."
"""Said of the lockfile, and not once more of each skill."""
_NEVER = (0, 0, 0, 0, 0)
"""The stamp of what is not remembered."""


class Found(msgspec.Struct, frozen=True):
    """All that is in the roots.

    Attributes:
        skills: usable or not, in order of precedence, then by name.
        problems: roots that cannot be read, and so on: one sentence each.
    """

    skills: tuple[Skill, ...]
    problems: tuple[str, ...] = ()

    @property
    def usable(self) -> list[Skill]:
        """Those that can be used."""
        return [skill for skill in self.skills if skill.state == "ok"]

    def notices(self) -> list[str]:
        """Return what a person should know, one or two sentences each, and not too many."""
        found = [*self.problems, *_notices(self.skills)]
        if len(found) > NOTICES_LIMIT:
            more = len(found) - NOTICES_LIMIT
            found[NOTICES_LIMIT:] = [
                f"{more} more things are to be said about skills: see `octavo skills list`."
            ]
        return found


def find_skills(
    roots: Iterable[Root], *, home: Path, off: Collection[str] = (), cache: Cache | None = None
) -> Found:
    """Look at every skill in `roots`.

    Args:
        roots: in order of precedence.
        home: `$OCTAVO_HOME`, for the lockfile and what is remembered.
        off: names, and paths of SKILL.md files, that the person switched off.
        cache: what is remembered; None reads and writes it here.
    """
    remembered = Cache(home) if cache is None else cache
    search = _Search(home, remembered, off)
    problems: list[str] = []
    skills: list[Skill] = []
    seen: set[str] = set()
    for root in roots:
        real = os.path.realpath(root.path)
        if real in seen:
            continue
        seen.add(real)
        if root.inside is not None and not Path(real).is_relative_to(root.inside):
            place = visible_line(str(root.path))
            problems.append(f"No skills of {place} are used: it links out of the repository.")
            continue
        skills += search.skills(root, _names(root, problems))
    if cache is None:
        remembered.save()
    return Found(tuple(_one_of_a_name(skills)), (*problems, *search.problems))


class _Search:
    def __init__(self, home: Path, cache: Cache, off: Collection[str]) -> None:
        self._home = home
        self._own_lock = os.path.lexists(home / LOCK)
        self._locks: Locks | None = None
        self._cache = cache
        self._off = frozenset(off)
        self.problems: list[str] = []

    def skills(self, root: Root, names: Iterable[str]) -> Iterator[Skill]:
        """Yield the skills in these folders of `root`."""
        locks, is_damaged = None, False
        try:
            locks = self._locks_of(root)
        except SkillError as error:
            is_damaged = True
            if str(error) not in self.problems:
                self.problems.append(str(error))
        for name in names:
            folder = f"{root.path}/{name}"
            said = self._said(folder, root, name)
            state: State = "invalid" if said.problem else "ok"
            reason, pinned, agreed = said.problem, False, False
            if state == "ok" and is_damaged:
                state, reason = "invalid", _DAMAGED
            if state == "ok" and locks is not None:
                try:
                    pins = locks.pins(root, name)
                    reason = self._change(folder, pins) if pins else ""
                    state, pinned = ("changed" if reason else "ok"), bool(pins)
                    agreed = state == "ok" and locks.agreed(root, name) is not None
                except SkillError as error:
                    state, reason = "invalid", str(error)
            if state == "ok" and self._is_off(name, folder):
                state, reason = "disabled", "Your settings switch it off."
            yield Skill(name, said.description, root, state, reason, pinned, agreed)

    def _locks_of(self, root: Root) -> Locks | None:
        """Return what was agreed to; None where nothing can have been about `root`.

        Raises:
            SkillError: a lockfile cannot be read or understood.
        """
        shared = root.scope == "repo" and os.path.lexists(root.path.parent / LOCK)
        if root.scope == "system" or not (self._own_lock or shared):
            return None
        if self._locks is None:
            from octavo.context.skills.lock import Locks

            self._locks = Locks(self._home)
        self._locks.pins(root, "")  # read, damaged or not
        return self._locks

    def _is_off(self, name: str, folder: str) -> bool:
        return bool(self._off) and not self._off.isdisjoint((name, folder, f"{folder}/{FILE}"))

    def _said(self, folder: str, root: Root, name: str) -> Said:
        file = f"{folder}/{FILE}"
        try:
            known = self._cache.said(file, stamp_of(os.stat(file)))
        except OSError as error:
            from octavo.context.skills.reading import why_unreadable

            return Said(_NEVER, "", why_unreadable(Path(folder), error))
        if known is not None:
            return known
        from octavo.context.skills.header import read_header
        from octavo.context.skills.reading import read_skill_file

        try:
            head, status = read_skill_file(Path(folder), root, HEAD_LIMIT_BYTES + 1)
        except SkillError as error:
            return Said(_NEVER, "", str(error))
        try:
            said = Said(stamp_of(status), read_header(head, name).description)
        except SkillError as error:
            said = Said(stamp_of(status), "", str(error))
        self._cache.keep_said(file, said)
        return said

    def _change(self, folder: str, pins: Sequence[Pin]) -> str:
        """Return what differs from what was agreed to; "" if nothing does. Raises SkillError."""
        return what_changed(Path(folder), self._checksum(folder), pins)

    def _checksum(self, folder: str) -> str:
        """Return the folder's checksum, read again only if something in it changed."""
        from octavo.context.skills.folder import layout, read_folder, stamp

        kept = self._cache.sum(folder)
        if kept is not None:
            try:
                if stamp(folder, kept.places)[0] == kept.stamp:
                    return kept.sha256
            except SkillError:
                pass  # reading it says what is wrong
        places = layout(Path(folder))
        now, newest_ns = stamp(folder, places)
        sha256 = read_folder(Path(folder)).sha256
        self._cache.keep_sum(folder, Sum(places, now, sha256), newest_ns)
        return sha256


def what_changed(folder: Path, sha256: str, pins: Sequence[Pin]) -> str:
    """Return what in `folder`, whose checksum is `sha256`, is not as agreed to; "" if it all is.

    Raises:
        SkillError: it cannot be read.
    """
    broken = [pin for pin in pins if pin.sha256 != sha256]
    if not broken:
        return ""
    from octavo.context.skills.folder import differing, read_folder

    paths = differing(broken[-1].files, read_folder(folder).entries)
    named = ", ".join(map(visible_line, paths[:_NAMED])) or "its lockfile entry"
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"It is not what was agreed to any more: {named}{more} changed."


def _names(root: Root, problems: list[str]) -> Iterator[str]:
    """Yield the names of the folders in a root, sorted."""
    try:
        with os.scandir(root.path) as found:
            names = sorted(each.name for each in found if each.name[0] != "." and _is_folder(each))
            odd = [name for name in names if not _is_text(name)]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        problems.append(f"No skills of {visible_line(str(root.path))} are used: {why}.")
        return
    if odd:  # such a name cannot even be told to clients
        names = [name for name in names if _is_text(name)]
        place = visible_line(f"{root.path}/{odd[0]}")
        more = f" (and {len(odd) - 1} more like it)" if len(odd) > 1 else ""
        problems.append(f"The skill {place}{more} is not used: the name is not UTF-8.")
    if len(names) > SKILLS_LIMIT:
        problems.append(
            f"{visible_line(str(root.path))} has {len(names)} folders; only the first "
            f"{SKILLS_LIMIT} are looked at for skills."
        )
    yield from names[:SKILLS_LIMIT]


def _is_text(name: str) -> bool:
    return name.isascii() or name.encode("utf-8", "replace").decode() == name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return True  # reading it says what is wrong


def _one_of_a_name(skills: Iterable[Skill]) -> Iterator[Skill]:
    """Mark all but the first of a name as shadowed; one that is no skill hides none.

    One of a repository that is not trusted hides none that is: the user means the one they know.
    """
    skills = list(skills)
    taken: dict[str, Skill] = {}
    trusted: dict[str, Skill] = {}
    for skill in skills:
        if _is_known(skill) and skill.state not in ("invalid", "disabled"):
            trusted.setdefault(skill.name, skill)
    for skill in skills:
        first = taken.get(skill.name)
        if first is None and not _is_known(skill):
            first = trusted.get(skill.name)
        if skill.state in ("invalid", "disabled"):
            yield skill
        elif first is None:
            taken[skill.name] = skill
            yield skill
        else:
            why = "comes first" if _is_known(skill) else "is trusted, which this one is not"
            reason = f"{visible_line(str(first.folder))} has the same name and {why}."
            yield msgspec.structs.replace(skill, state="shadowed", reason=reason)


def _is_known(skill: Skill) -> bool:
    """Whether the user trusts where it is, or agreed to what it says."""
    return skill.root.trusted or skill.agreed


def _notices(skills: Iterable[Skill]) -> Iterator[str]:
    for skill in skills:
        shadowed = skill.state == "shadowed" and skill.root.scope != "system"
        refused = skill.state in ("invalid", "changed") and skill.reason != _DAMAGED
        if shadowed or refused:
            yield not_used(skill, skill.reason)
