"""Making, adding, accepting and removing skills: what a person does to them.

Nothing here is done on a model's word. Still, a repository may have laid out its folders to lead a
write elsewhere, so its root has to be where it says.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from octavo.config.paths import make_private
from octavo.context.skills import FILE, HEAD_LIMIT_BYTES, Root, Skill, SkillError
from octavo.context.skills.folder import Contents, Entry, read_folder
from octavo.context.skills.front_matter import fields, front_matter
from octavo.context.skills.header import UNFILLED, Header, name_problem, read_header
from octavo.context.skills.kept import difference, forget, keep
from octavo.context.skills.lock import Locks, Pin
from octavo.protocol.errors import ConfigError
from octavo.protocol.visible import visible_line

_TEMPLATE = """\
---
name: {name}
description: {description}
---

# {title}

{unfilled}2. Say what to see when it worked, and what to do when not.

Done when: say how one can tell.
"""


class Change(msgspec.Struct, frozen=True):
    """What accepting a skill would agree to.

    Attributes:
        sha256: of the folder as it was read; what is accepted is this and nothing else.
        lines: how it differs from what the person agreed to before; what a repository's lockfile
            says was agreed to is nothing that they have seen.
        agreed: it does not.
    """

    sha256: str
    lines: tuple[str, ...]
    agreed: bool


def create(root: Root, name: str, description: str) -> Path:
    """Make a new skill to be filled in, and return its SKILL.md.

    Raises:
        SkillError: the name or the description breaks the format, or the folder is there.
    """
    import json

    problem = name_problem(name)
    if problem is not None:
        raise SkillError(problem)
    quoted = json.dumps(" ".join(description.split()), ensure_ascii=False)
    title = name.replace("-", " ").capitalize()
    text = _TEMPLATE.format(unfilled=UNFILLED.decode(), name=name, description=quoted, title=title)
    read_header(text.encode(), name)
    data = {FILE: text.encode()}
    folder = _put(root, name, Contents({FILE: Entry()}, data))
    return folder / FILE


def named_header(contents: Contents) -> Header:
    """Return the header of a skill that was read, whatever its folder is called.

    Raises:
        SkillError: it is no skill.
    """
    data = contents.data.get(FILE)
    if data is None:
        raise SkillError(f"There is no {FILE} in it.")
    head = data[: HEAD_LIMIT_BYTES + 1]
    text, _ = front_matter(head)
    return read_header(head, str(fields(text).get("name", "")))


def renamed(contents: Contents, name: str) -> Contents:
    """Return a skill under another name: the one line of its front matter is another.

    Raises:
        SkillError: the name breaks the format, or the front matter has no such line.
    """
    import hashlib
    import re

    data = contents.data[FILE]
    text, end = front_matter(data)
    changed, count = re.subn(r"(?m)^name:[^\n]*$", f"name: {name}", text, count=1)
    start = data.index(b"\n") + 1
    written = data[:start] + changed.encode() + data[start + len(text.encode()) : end] + data[end:]
    if not count or read_header(written[: HEAD_LIMIT_BYTES + 1], name).name != name:
        raise SkillError(f"The name in {FILE} cannot be replaced.")
    entry = msgspec.structs.replace(
        contents.entries[FILE], sha256=hashlib.sha256(written).hexdigest()
    )
    return Contents({**contents.entries, FILE: entry}, {**contents.data, FILE: written})


def install(root: Root, name: str, contents: Contents, pin: Pin, home: Path) -> Path:
    """Put a skill into `root`, agree to its bytes, and return its folder.

    Raises:
        SkillError: one of this name is there, or the root leads elsewhere.
        ConfigError: something cannot be written.
    """
    locks = Locks(home)
    shared = locks.shared(root)
    for lock in (locks.own, *([shared] if shared is not None else [])):
        lock.pins()  # a damaged one is to be noticed before anything is written
    folder = _put(root, name, contents)
    _agree(locks, root, name, contents, pin)
    return folder


def change_of(skill: Skill, home: Path) -> Change:
    """Return what accepting `skill` as it is would agree to. Raises SkillError."""
    contents = read_folder(skill.folder, keep=True)
    before = Locks(home).agreed(skill.root, skill.name)
    agreed = before is not None and before.sha256 == contents.sha256 and skill.state != "changed"
    return Change(contents.sha256, tuple(difference(home, before, contents)), agreed)


def accept(skill: Skill, sha256: str, home: Path) -> None:
    """Agree to a skill's bytes, if they still are those of `sha256`.

    Raises:
        SkillError: they are not, or it is no valid skill.
        ConfigError: the lockfile cannot be written.
    """
    if skill.root.scope == "system":
        raise SkillError(f"{skill.name} is octavo's own; there is nothing to accept.")
    _check_place(skill.root)
    contents = read_folder(skill.folder, keep=True)
    if contents.sha256 != sha256:
        raise SkillError(f"{skill.name} has changed again meanwhile, so nothing was accepted.")
    read_header(contents.data.get(FILE, b"")[: HEAD_LIMIT_BYTES + 1], skill.name)
    locks = Locks(home)
    pins = locks.pins(skill.root, skill.name)
    before = pins[-1] if pins else Pin("", {})
    if before.sha256 != sha256:
        before = msgspec.structs.replace(before, edited=bool(before.source))
    _agree(locks, skill.root, skill.name, contents, before)


def remove(skill: Skill, home: Path, *, force: bool = False) -> None:
    """Delete a skill's folder and what was agreed to about it.

    Raises:
        SkillError: it is octavo's own; or it was not added by `octavo skills add`, or has changed
            since, and not `force`.
    """
    if skill.root.scope == "system":
        raise SkillError(
            f"{skill.name} is part of octavo.",
            hint="Switch it off in your settings: "
            f'[[skills.config]] with name = "{skill.name}" and enabled = false.',
        )
    locks = Locks(home)
    pins = locks.pins(skill.root, skill.name)
    if not force and not any(pin.source for pin in pins):
        raise SkillError(
            f"{visible_line(str(skill.folder))} was not added from elsewhere, so this may be its "
            "only copy.",
            hint="Remove it with --force, or by hand.",
        )
    if not force and skill.state == "changed":
        raise SkillError(
            f"{visible_line(str(skill.folder))} has changed since it was added.",
            hint="Remove it with --force if the changes are not needed.",
        )
    _check_place(skill.root)
    if skill.folder.is_symlink():
        skill.folder.unlink()
    else:
        aside = skill.folder.with_name(f".{skill.name}.removed.{os.getpid()}")
        os.rename(skill.folder, aside)
        shutil.rmtree(aside)
    _put_own(locks, skill.root, skill.name, None)
    shared = locks.shared(skill.root)
    if shared is not None:
        shared.put(skill.name, None)


def find_one(skills: Sequence[Skill], name: str) -> Skill:
    """Return the skill of a name, or of the path of its folder or SKILL.md.

    Raises:
        SkillError: there is none.
    """
    by_path = {os.path.abspath(name), os.path.dirname(os.path.abspath(name))}
    if "/" in name:
        found = [skill for skill in skills if str(skill.folder) in by_path]
    else:
        found = [skill for skill in skills if skill.name == name]
        found.sort(key=lambda skill: skill.state in ("shadowed", "invalid"))  # stable
    if not found:
        import difflib

        near = difflib.get_close_matches(name, sorted({skill.name for skill in skills}), n=1)
        raise SkillError(
            f"There is no skill '{visible_line(name)}'.",
            hint=f"Did you mean '{visible_line(near[0])}'?"
            if near
            else "`octavo skills list` shows them.",
        )
    return found[0]


def _agree(locks: Locks, root: Root, name: str, contents: Contents, pin: Pin) -> None:
    keep(locks.own.path.parent, contents)
    agreed = msgspec.structs.replace(
        pin, sha256=contents.sha256, files=dict(contents.entries), accepted_at=int(time.time())
    )
    _put_own(locks, root, name, agreed)
    shared = locks.shared(root)
    if shared is not None and (pin.source or name in shared.pins()):
        shared.put(name, _source_for_others(agreed))


def _put_own(locks: Locks, root: Root, name: str, pin: Pin | None) -> None:
    """Write the person's own pin, and forget the texts that only the one before needed."""
    key = locks.key(root, name)
    before = locks.own.pins().get(key)
    locks.own.put(key, pin)
    if before is not None and all(one.sha256 != before.sha256 for one in locks.own.pins().values()):
        forget(locks.own.path.parent, before.sha256)


def _source_for_others(pin: Pin) -> Pin:
    """Return a pin as it goes into a repository: a path on this machine tells others nothing."""
    source = pin.source if "://" in pin.source else "a folder"
    return msgspec.structs.replace(pin, source=source, accepted_at=0)


def _put(root: Root, name: str, contents: Contents) -> Path:
    """Write a folder, whole or not at all. Raises SkillError."""
    _check_place(root)
    folder = root.path / name
    if os.path.lexists(folder):
        raise SkillError(
            f"{visible_line(str(folder))} is there already.",
            hint=f"Choose another name, or remove it: `octavo skills remove {name}`.",
        )
    aside = root.path / f".{name}.new.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        if root.scope == "user":
            make_private(root.path)
        else:
            root.path.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        for path, entry in contents.entries.items():
            place = aside / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if entry.link is not None:
                os.symlink(entry.link, place)
                continue
            place.write_bytes(contents.data[path])
            place.chmod(0o755 if entry.executable else 0o644)
        os.rename(aside, folder)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise ConfigError(f"{folder} cannot be written: {error.strerror}.") from None
    return folder


def _check_place(root: Root) -> None:
    """Refuse a root of a repository that leads out of it."""
    if root.inside is None:
        return
    for place in (root.path, root.path.parent):  # the lockfile is in the latter
        if not Path(os.path.realpath(place)).is_relative_to(root.inside):
            raise SkillError(f"{visible_line(str(place))} leads out of the repository.")
