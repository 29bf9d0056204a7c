"""Patterns of files that nobody in a cage may read, and which files those are at the moment.

    /srv/app/**/*.env    `*` and `?` stay within a name, `**` is any number of directories
    !/srv/app/demo.env   not this one, whatever the patterns say

A walk has its bounds, because it is made before a cage stands. What it did not reach is said: see
`Found.is_complete`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from octavo.sandbox.cage.plan import NOT_WALKED

MAX_ENTRIES = 20_000
"""How many names a walk looks at."""
MAX_WATCHED = 500
"""How many directories are looked at again before every command."""
_MAGIC = re.compile(r"[*?\[]")


class Found(Struct, frozen=True):
    """What patterns match now.

    Attributes:
        paths: files, links and whole directories.
        folders: where another one can appear.
        is_complete: the walk saw everything.
    """

    paths: tuple[str, ...]
    folders: tuple[str, ...]
    is_complete: bool


def is_glob(text: str) -> bool:
    """Return whether a path is a pattern."""
    return _MAGIC.search(text) is not None


def find(patterns: Iterable[str]) -> Found:
    """Look for what the patterns match. Links are matched by their own names, never followed."""
    patterns = tuple(patterns)
    shown = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    globs = [pattern for pattern in patterns if not pattern.startswith("!")]
    if not globs:
        return Found((), (), is_complete=True)
    matches = re.compile("|".join(map(_expression, globs))).fullmatch
    paths: dict[str, None] = {}
    folders: dict[str, None] = {}
    soon, late = list(dict.fromkeys(map(_base, globs))), list[str]()
    left = MAX_ENTRIES
    while soon or late:
        # Directories full of other people's files come last, so that they do not use the walk up.
        folder = soon.pop(0) if soon else late.pop(0)
        if folder in folders:
            continue
        folders[folder] = None
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            left -= 1
            if left < 0:
                return Found(tuple(paths), tuple(folders), is_complete=False)
            if matches(entry.path) and entry.path not in shown:
                paths[entry.path] = None
            elif entry.is_dir(follow_symlinks=False):
                (late if entry.name in NOT_WALKED else soon).append(entry.path)
    return Found(tuple(paths), tuple(folders), is_complete=True)


def gaps_of(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return as a sentence what of the patterns cannot be held; none where all of it can."""
    found = find(patterns)
    if not found.is_complete:
        return (
            f"Denied patterns are looked for among the first {MAX_ENTRIES} names only: what they"
            " match beyond those can be read.",
        )
    if len(found.folders) > MAX_WATCHED:
        return (
            "Denied patterns cover too many directories to look again before every command: files"
            " that come later can be read.",
        )
    return ()


def _base(glob: str) -> str:
    """Return the directory that the walk begins in."""
    return os.path.dirname(_MAGIC.split(glob, maxsplit=1)[0]) or "/"


def _expression(glob: str) -> str:
    """Return a regular expression for a glob."""
    said: list[str] = []
    at = 0
    while at < len(glob):
        if glob.startswith("**/", at):
            said.append(r"(?:[^/]+/)*")
            at += 3
        elif glob.startswith("**", at):
            said.append(r".*")
            at += 2
        elif glob[at] == "*":
            said.append(r"[^/]*")
            at += 1
        elif glob[at] == "?":
            said.append(r"[^/]")
            at += 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inner = glob[at + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            said.append(f"[{'^/' + inner[1:] if inner[0] in '!^' else inner}]")
            at = end + 1
        else:
            said.append(re.escape(glob[at]))
            at += 1
    return "(?s:" + "".join(said) + ")"
