"""What the policy means on this machine: which paths become writable, read-only or hidden.

Looked up once, on the host, before any wall exists. Paths in a plan are real paths; the order of
`binds` is the order to mount them in, so that a deeper entry overrides the one around it.
"""

from __future__ import annotations

import os
import stat

from .orders import Orders
from .placeholders import Placeholders

_WALK_DEPTH, _WALK_ENTRIES = 4, 4000
_NOT_WALKED = frozenset(
    "node_modules .venv venv __pycache__ .tox target dist build .cache site-packages".split()
)
_GIT_POINTER_BYTES = 4096
_LINKS_FOLLOWED = 8


class Plan:
    """The paths of one cage."""

    def __init__(self, roots: list[str]) -> None:
        self.roots = roots
        self.protected: list[str] = []
        """Read-only although inside a writable root; each exists, links count as themselves."""
        self.secrets: list[str] = []
        self.masks: list[str] = []
        """Secrets, and sockets of the host."""
        self.gaps: list[str] = []
        self.placeholders: Placeholders | None = None

    def binds(self) -> list[tuple[str, bool]]:
        """Return (path, writable) in mount order: roots, protected paths and their ancestors.

        An ancestor bound on itself cannot be renamed away with what is protected in it.
        """
        read_only = set(self.protected) - set(self.roots)
        writable = set(self.roots)
        for path in read_only:
            parent = os.path.dirname(path)
            while parent not in writable and _is_under(parent, self.roots):
                if parent not in read_only:
                    writable.add(parent)
                parent = os.path.dirname(parent)
        both = [(path, True) for path in writable] + [(path, False) for path in read_only]
        return sorted(both, key=lambda bind: (bind[0].count("/"), bind[0]))

    def release(self) -> None:
        if self.placeholders is not None:
            self.placeholders.release()
            self.placeholders = None


def make_plan(orders: Orders) -> Plan:
    """Look everything up; what has to be made on the host is recorded before it is made."""
    roots: list[str] = []
    for root in map(os.path.realpath, orders.roots):
        if root not in roots and root != "/" and os.path.isdir(root):
            roots.append(root)
    plan = Plan(roots)
    cwd = os.path.realpath(orders.cwd)
    if cwd in roots:
        try:
            record_directory = os.path.join(orders.home, "cache", "placeholders")
            plan.placeholders = Placeholders.open(cwd, record_directory)
        except OSError:
            plan.gaps.append("Protected names that do not exist yet can be made in the workspace.")
    try:
        _protect(plan, orders, cwd)
    except BaseException:
        plan.release()
        raise
    plan.secrets = _masks(orders.secrets, plan)
    plan.masks = [*plan.secrets, *sorted({path for path, _, _ in host_sockets()})]
    return plan


def _protect(plan: Plan, orders: Orders, cwd: str) -> None:
    found: list[str] = []
    for root in plan.roots:
        for name in orders.protected:
            path = os.path.join(root, name)
            if os.path.lexists(path):
                found += _with_link_targets(path, plan.roots)
            elif root == cwd and plan.placeholders is not None and os.access(root, os.W_OK):
                plan.placeholders.add(path)
                found.append(path)
        found += [path for path in _git_directories(root) if _is_under(path, plan.roots)]
    if cwd in plan.roots:
        found += _nested_repositories(cwd)
    home = os.path.realpath(orders.home)
    if _is_under(home, plan.roots) and os.path.isdir(home):
        found.append(home)
    for path in found:
        if path not in plan.protected and path not in plan.roots:
            plan.protected.append(path)


def _with_link_targets(path: str, roots: list[str]) -> list[str]:
    """Return `path` and, where it is a link, what it leads to inside a writable root."""
    found = [path]
    for _ in range(_LINKS_FOLLOWED):
        if not os.path.islink(path):
            break
        target = os.path.join(os.path.dirname(path), os.readlink(path))
        path = os.path.join(os.path.realpath(os.path.dirname(target)), os.path.basename(target))
        if os.path.lexists(path) and _is_under(path, roots) and path not in roots:
            found.append(path)
    return found


def _git_directories(root: str) -> list[str]:
    """Return where a `.git` *file* of a worktree or submodule leads, its common directory too."""
    try:
        with open(os.path.join(root, ".git"), "rb") as file:
            pointer = os.fsdecode(file.read(_GIT_POINTER_BYTES))
    except OSError:
        return []
    if not pointer.startswith("gitdir:"):
        return []
    directory = os.path.realpath(os.path.join(root, pointer[len("gitdir:") :].strip()))
    found = [directory] if os.path.isdir(directory) else []
    try:
        with open(os.path.join(directory, "commondir"), "rb") as file:
            common = os.fsdecode(file.read(_GIT_POINTER_BYTES)).strip()
        found.append(os.path.realpath(os.path.join(directory, common)))
    except OSError:
        pass
    return [path for path in found if os.path.isdir(path)]


def _nested_repositories(top: str) -> list[str]:
    """Return `config` and `hooks` of repositories below `top`, as far as a bounded walk sees."""
    found: list[str] = []
    left = _WALK_ENTRIES
    level = [top]
    for _ in range(_WALK_DEPTH):
        deeper: list[str] = []
        for directory in level:
            try:
                entries = list(os.scandir(directory))
            except OSError:
                continue
            for entry in entries:
                left -= 1
                if left < 0:
                    return found
                if entry.name == ".git" and directory != top:
                    found += _git_internals(entry)
                elif _is_walked(entry):
                    deeper.append(entry.path)
        level = deeper
    return found


def _is_walked(entry: os.DirEntry[str]) -> bool:
    named_so = entry.name[0] != "." and entry.name not in _NOT_WALKED
    return named_so and entry.is_dir(follow_symlinks=False)


def _git_internals(entry: os.DirEntry[str]) -> list[str]:
    if not entry.is_dir(follow_symlinks=False):
        return [entry.path]
    paths = [os.path.join(entry.path, name) for name in ("config", "hooks")]
    return [path for path in paths if os.path.lexists(path)]


def _masks(secrets: list[str], plan: Plan) -> list[str]:
    masks: list[str] = []
    for secret in secrets:
        path = os.path.realpath(secret)
        holds_a_root = any(_is_under(root, [path]) for root in plan.roots)
        if path != "/" and path not in masks and not holds_a_root and os.path.lexists(path):
            masks.append(path)
    return masks


Socket = tuple[str, int, int]
"""A unix socket's path, inode and time of change: one made anew at the same path is another."""


def host_sockets() -> set[Socket]:
    """Return the host's unix sockets that have a path, which no namespace and mount flag closes.

    Those in /run are not among them: a cage has a /run of its own.
    """
    try:
        with open("/proc/net/unix", "rb", buffering=0) as file:
            listing = file.readall()
    except OSError:
        return set()
    sockets: set[Socket] = set()
    for part in listing.split(b" /")[1:]:
        path = "/" + os.fsdecode(part.partition(b"\n")[0])
        if path.startswith(("/run/", "/var/run/")):
            continue
        try:
            state = os.stat(path)
        except OSError:
            continue
        if stat.S_ISSOCK(state.st_mode):
            sockets.add((os.path.realpath(path), state.st_ino, state.st_ctime_ns))
    return sockets


def _is_under(path: str, roots: list[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
