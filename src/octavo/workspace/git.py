"""Which repository, branch and commit a directory is in, read without running git.

A repository may be hostile, and running git in it runs what its configuration names; reading a few
small files does not. Only names that could be a branch and text that could be a commit are ever
returned, so a link to a secret shows nothing. Reading is bounded and never waits.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

MAX_DEPTH = 64
"""How many directories up a repository is looked for."""
SMALL_BYTES = 4096
PACKED_LIMIT_BYTES = 32 << 20
MAX_LINKS = 5


class Head(msgspec.Struct, frozen=True):
    """What is checked out. Without `branch` it is detached; without `commit` there is none yet."""

    branch: str | None = None
    commit: str | None = None


class Repository(msgspec.Struct, frozen=True):
    """A work tree and where git keeps it; all real paths.

    Attributes:
        top: of the work tree.
        git_dir: the work tree's own.
        common_dir: the one shared by all work trees of the repository.
        vouched: the two belong together: a linked work tree or a submodule is known to the
            repository that its `.git` names. What only claims to belong is not.
    """

    top: Path
    git_dir: Path
    common_dir: Path
    vouched: bool


def find_repository(path: Path) -> Repository | None:
    """Return the repository whose work tree `path` is in; None if there is none."""
    found = _find(path)
    if found is None:
        return None
    top, git_dir, common_dir = (Path(os.path.realpath(folder)) for folder in found)
    if _is_folder(top / ".git"):
        # Its own folder; one that says another repository is shared by it is none of git's making.
        vouched = git_dir == common_dir == Path(os.path.realpath(top / ".git"))
        return Repository(top, git_dir, common_dir, vouched)
    if git_dir.parent == common_dir / "worktrees":
        back = _read(git_dir / "gitdir").strip()
        vouched = os.path.realpath(git_dir / back) == os.path.realpath(top / ".git")
        return Repository(top, git_dir, common_dir, vouched and bool(back))
    around = find_repository(top.parent) if top != top.parent else None
    inside = around is not None and (around.common_dir / "modules") in git_dir.parents
    return Repository(top, git_dir, common_dir, inside and git_dir == common_dir)


def is_inside_git(path: Path) -> Path | None:
    """Return the top of the work tree that `path` is in; None if there is none."""
    found = _find(path)
    return found[0] if found else None


def read_head(path: Path) -> Head | None:
    """Return what is checked out where `path` is; None outside a work tree."""
    found = _find(path)
    if found is None:
        return None
    _, git_dir, common_dir = found
    text = _read(git_dir / "HEAD")
    if not text.startswith("ref: "):
        return Head(commit=_commit(text))
    ref = _ref(text)
    if ref is None:
        return Head()
    branch = ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else None
    return Head(branch, _resolve(ref, git_dir, common_dir))


def _find(path: Path) -> tuple[Path, Path, Path] | None:
    """Return the work tree's top, its git directory and the one shared by all work trees."""
    for folder in (path, *path.parents)[:MAX_DEPTH]:
        git_dir = _git_dir(folder / ".git")
        if git_dir is None:
            continue
        common = _read(git_dir / "commondir").strip()
        common_dir = git_dir / common if common else git_dir
        # As git does: without these it is no repository, and the search goes on further up.
        if _read(git_dir / "HEAD") and _is_folder(common_dir / "objects"):
            return folder, git_dir, common_dir
    return None


def _git_dir(dot_git: Path) -> Path | None:
    """Return where a `.git` leads: itself, or what a work tree's or submodule's file names."""
    if _is_folder(dot_git):
        return dot_git
    text = _read(dot_git)
    if not text.startswith("gitdir: "):
        return None
    return dot_git.parent / text.removeprefix("gitdir: ").rstrip("\r\n")


def _resolve(ref: str, git_dir: Path, common_dir: Path) -> str | None:
    for _ in range(MAX_LINKS):
        text = _read(git_dir / ref) or _read(common_dir / ref)
        if not text:
            return _packed(ref, common_dir)
        if not text.startswith("ref: "):
            return _commit(text)
        linked = _ref(text)
        if linked is None:
            return None
        ref = linked
    return None


def _packed(ref: str, common_dir: Path) -> str | None:
    before, found, _ = read_plain(common_dir / "packed-refs", PACKED_LIMIT_BYTES).partition(
        f" {ref}\n".encode()
    )
    return _commit(before[-64:].rpartition(b"\n")[2].decode("ascii", "replace")) if found else None


def _ref(text: str) -> str | None:
    """Return the name in `ref: NAME` if it can be one; never one that leads elsewhere."""
    name = text.removeprefix("ref: ").strip()
    parts = name.split("/")
    if parts[0] != "refs" or len(parts) < 2 or not name.isprintable() or " " in name:
        return None
    return None if any(not part or part.startswith(".") for part in parts) else name


def _commit(text: str) -> str | None:
    text = text.strip()
    return text if len(text) in (40, 64) and not set(text) - set("0123456789abcdef") else None


def _read(path: Path) -> str:
    return read_plain(path).decode("utf-8", "surrogateescape")


def read_plain(path: Path, limit_bytes: int = SMALL_BYTES) -> bytes:
    """Return at most `limit_bytes` of a plain file; b"" for anything else."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return b""
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(limit_bytes)
    except (OSError, ValueError):
        return b""


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
