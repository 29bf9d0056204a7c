"""Where what a thread has seen comes from: the labels that a person's consent hangs on.

    untrusted   others wrote it: output of tools, files, pages; it may hold orders for the model
    private     it is nobody else's business: keys, and what lies in other repositories

A model that has read both can be talked into sending the one where the other says. So from then on
whatever leaves the cage needs a person: not a remembered yes, not a reviewer. What was allowed
beforehand (the provider, hosts and remotes named in settings or on the command line) is not
leaving. Labels are in the log with the calls that brought them, and hold for the whole thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from octavo.config.trust import repository_root

Label = Literal["untrusted", "private"]

BOTH = frozenset(("untrusted", "private"))
PATHS_LIMIT = 64
"""How many words of one command are looked up."""


def is_of_others(path: str, own: Path | None) -> bool:
    """Whether a path lies in another git repository than `own`, links followed."""
    real = os.path.realpath(path)
    folder = Path(real if os.path.isdir(real) else os.path.dirname(real))
    root = repository_root(folder)
    return root is not None and root != own


def reads_others(words: Iterable[str], cwd: Path, own: Path | None) -> bool:
    """Whether one of a command's words names something in another repository."""
    for number, word in enumerate(words):
        if number == PATHS_LIMIT:
            return True  # who names so many is not looked up, and not believed
        if "/" not in word and not word.startswith(".."):
            continue
        path = os.path.join(cwd, os.path.expanduser(word))
        try:
            if os.path.lexists(path) and is_of_others(path, own):
                return True
        except (OSError, ValueError):
            continue
    return False


def needs_person(seen: Iterable[str]) -> str | None:
    """Return why only a person can let something leave now; None if that is not so."""
    if not BOTH.issubset(seen):
        return None
    return (
        "This thread has read private data (keys, or another repository) and text that others "
        "wrote, which may want it sent away."
    )
