"""Where what a thread has seen comes from: the labels that a person's consent hangs on.

    untrusted   others wrote it: output of tools, files, pages; it may hold orders for the model
    private     it is nobody else's business: keys, and what lies in other repositories, or was
                printed by commands of other threads

A model that has read both can be talked into sending the one where the other says. So from then on
whatever leaves the cage needs a person: not a remembered yes, not a reviewer. What was allowed
beforehand (the provider, hosts and remotes named in settings or on the command line) is not
leaving. Labels are in the log with the calls that brought them, and hold for the whole thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from octavo.config.trust import marked_root

Label = Literal["untrusted", "private"]

BOTH = frozenset(("untrusted", "private"))
PATHS_LIMIT = 64
"""How many paths that one command names are looked up."""


def is_of_others(path: str, own: Path | None, outputs: Path | None = None) -> bool:
    """Whether a path lies in another git repository than `own`, links followed.

    Args:
        outputs: where the thread's own outputs are kept; what is beside it is other threads'.
    """
    real = os.path.realpath(path)
    if outputs is not None:
        mine, everybodys = os.path.realpath(outputs), os.path.realpath(outputs.parent)
        if _is_in(real, everybodys) and not _is_in(real, mine):
            return True
    root = marked_root(Path(real if os.path.isdir(real) else os.path.dirname(real)), (".git",))
    return root is not None and root != own


def reads_others(
    words: Iterable[str], cwd: Path, own: Path | None, outputs: Path | None = None
) -> bool:
    """Whether one of a command's words names something of others; see `is_of_others`."""
    looked = 0
    for word in words:
        for path in _meant(word, cwd):
            try:
                there = os.path.lexists(path)
                looked += there or "/" in word
                if looked > PATHS_LIMIT:
                    return True  # who names so many is not looked up, and not believed
                if there and is_of_others(path, own, outputs):
                    return True
            except (OSError, ValueError):
                continue
    return False


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}{os.sep}")


def _meant(word: str, cwd: Path) -> Iterator[str]:
    """Return what a word may name: itself, a value after "=", the folder of a pattern."""
    for text in dict.fromkeys((word, word.partition("=")[2])):
        if not text:
            continue
        at = min((text.find(sign) for sign in "*?[{" if sign in text), default=-1)
        named = text if at < 0 else os.path.dirname(text[:at]) or "."
        yield os.path.join(cwd, os.path.expanduser(named))


def needs_person(seen: Iterable[str]) -> str | None:
    """Return why only a person can let something leave now; None if that is not so."""
    if not BOTH.issubset(seen):
        return None
    return (
        "This thread has read private data (keys, or another repository) and text that others "
        "wrote, which may want it sent away."
    )
