"""Where a repository stands, in a few digests: enough to see later whether git moved it.

Read without running git, as in `workspace.git`: plain files only, bounded, never waiting. What is
not in it: the files of the work tree, and objects that nothing leads to.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from octavo.protocol.events import GitMark
from octavo.workspace.git import PACKED_LIMIT_BYTES, find_repository, read_head, read_plain
from octavo.workspace.marks import digest

REFS_LIMIT = 2_000
"""Loose ones; git packs what is old."""
_CHECKSUM_BYTES = 20
LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock")
"""Files with which git keeps others out; one that outlives its git stops all that come after."""


def mark(folder: Path) -> GitMark | None:
    """Return where the repository of `folder` stands; None where there is none, or too much."""
    repository = find_repository(folder)
    head = read_head(folder)
    if repository is None or head is None:
        return None
    refs = _refs(repository.common_dir)
    if refs is None or not _is_text(str(repository.top)):
        return None
    said = read_plain(repository.git_dir / "HEAD").decode("utf-8", "replace").strip()
    return GitMark(str(repository.top), said, head.commit, refs, _index(repository.git_dir))


def locks(folder: Path) -> list[Path]:
    """Return the locks that git, or what is left of one, holds on the repository of `folder`."""
    repository = find_repository(folder)
    if repository is None:
        return []
    places = dict.fromkeys((repository.git_dir, repository.common_dir))
    found = [place / name for place in places for name in LOCKS if (place / name).exists()]
    refs = _loose(repository.common_dir) or ()
    return [*found, *(path for path in refs if path.name.endswith(".lock"))]


def _is_text(path: str) -> bool:
    """Whether a log can hold it: a name may be bytes that are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refs(common_dir: Path) -> str | None:
    loose = _loose(common_dir)
    if loose is None:
        return None
    parts = [read_plain(common_dir / "packed-refs", PACKED_LIMIT_BYTES)]
    for path in loose:
        if not path.name.endswith(".lock"):
            parts += [os.fsencode(path.relative_to(common_dir)), read_plain(path)]
    return digest(b"\0".join(parts))


def _loose(common_dir: Path) -> list[Path] | None:
    """Return the files of all loose refs, in order; None when there are too many."""
    found: list[Path] = []
    for folder, folders, names in os.walk(common_dir / "refs"):
        folders.sort()
        found += (Path(folder, name) for name in sorted(names))
        if len(found) > REFS_LIMIT:
            return None
    return found


def _index(git_dir: Path) -> str:
    """Return what tells this index from another: it ends with a checksum of all of it.

    An index without one (`index.skipHash`) is told by its times.
    """
    try:
        with open(
            os.open(git_dir / "index", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
        ) as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_size < _CHECKSUM_BYTES:
                return ""
            file.seek(-_CHECKSUM_BYTES, os.SEEK_END)
            checksum = file.read(_CHECKSUM_BYTES)
    except OSError:
        return ""
    if any(checksum):
        return checksum.hex()
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ino}"
