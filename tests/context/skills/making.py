"""Makes skills on disk, and looks for them as a thread does."""

from __future__ import annotations

import time
from pathlib import Path

from octavo.context.skills import FILE, Root
from octavo.context.skills.cache import Cache
from octavo.context.skills.find import Found, find_skills


def make_skill(
    root: Path, name: str, description: str = "Does it.", body: str = "Do it.\n"
) -> Path:
    """Write a skill into `root` and return its folder."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    text = f"---\nname: {name}\ndescription: {description}\n---\n\n{body}"
    (folder / FILE).write_text(text)
    return folder


def find(home: Path, *roots: Root, off: tuple[str, ...] = ()) -> Found:
    return find_skills(roots, home=home, off=off)


def find_later(home: Path, *roots: Root) -> Found:
    """Look as one does a minute later, when what was just written counts as settled."""
    cache = Cache(home, now_ns=lambda: time.time_ns() + 60_000_000_000)
    found = find_skills(roots, home=home, cache=cache)
    cache.save()
    return found


def states(found: Found) -> dict[str, str]:
    return {skill.name: skill.state for skill in found.skills}
