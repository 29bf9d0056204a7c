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
NOT_WALKED = frozenset(
    "node_modules .venv venv __pycache__ .tox target dist build .cache site-packages".split()
)
_GIT_POINTER_BYTES = 4096
KEPT_IN_RUN = (
    "/run/systemd/resolve",
    "/run/current-system",
    "/run/wrappers",
    "/run/opengl-driver",
    "/run/booted-system",
)
"""What a cage sees of the host's /run, read-only."""
_LINKS_FOLLOWED = 8


class Plan:
    """The paths of one cage."""

    def __init__(self, roots: list[str]) -> None:
        self.roots = roots
        self.private: list[str] = []
        """Directories of the cage's own; where they lie over others, these are not changed."""
        self.kept: list[str] = []
        """Read-only, although a private directory lies over where they are."""
        self.processes = 0
        """Most processes at a time in one command's tree."""
        self.links: list[tuple[str, str]] = []
        """(path, where it leads): names in private directories that the person uses."""
        self.changeable = roots
        """Where files may be changed: the roots, and private directories that were asked for."""
        self.programs: list[str] | None = None
        """The only ones that can be executed; None is no such limit."""
        self.protected: list[str] = []
        """Read-only although inside a writable root; each exists, links count as themselves."""
        self.secrets: list[str] = []
        self.masks: list[str] = []
        """Secrets, and sockets of the host."""
        self.sockets: list[str] = []
        """Those of the host's that are not hidden, because a person allowed them."""
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
            while parent not in writable and is_under(parent, self.roots):
                if parent not in read_only:
                    writable.add(parent)
                parent = os.path.dirname(parent)
        read_only |= set(self.kept) - writable
        both = [(path, True) for path in writable] + [(path, False) for path in read_only]
        return sorted(both, key=lambda bind: (bind[0].count("/"), bind[0]))

    def release(self) -> None:
        if self.placeholders is not None:
            self.placeholders.release()
            self.placeholders = None


def make_plan(orders: Orders) -> Plan:
    """Look everything up; what has to be made on the host is recorded before it is made."""
    cwd = os.path.realpath(orders.cwd)
    private = _private(orders, cwd)
    asked: list[str] = []
    for root in map(os.path.realpath, orders.roots):
        # A file can be one where it is opened although something around it is protected.
        opened = os.path.isfile(root) and is_under(root, asked)
        if root not in asked and root != "/" and (os.path.isdir(root) or opened):
            asked.append(root)
    own = {*map(os.path.realpath, orders.private)} - {cwd}
    plan = Plan([root for root in asked if root not in own])
    plan.changeable = [root for root in asked if root not in own or root in private]
    plan.private = private
    plan.processes = orders.processes
    plan.programs = orders.programs
    plan.sockets = [path for path in map(os.path.realpath, orders.sockets) if _is_socket(path)]
    _keep(plan, orders)
    if orders.private and os.path.realpath(orders.private[0]) not in private:
        plan.gaps.append(f"Commands have no {orders.private[0]} of their own here.")
    _make_readable_outputs(orders.home)
    if cwd in plan.roots:
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
    hidden = {path for path, _, _ in host_sockets()}.difference(plan.sockets)
    plan.masks = [*plan.secrets, *sorted(hidden)]
    return plan


def _private(orders: Orders, cwd: str) -> list[str]:
    """Return the directories that can be private: none that holds what is no temporary file."""
    needed = [cwd, *map(os.path.realpath, [orders.home, *orders.kept])]
    found: list[str] = []
    for number, path in enumerate(map(os.path.realpath, orders.private)):
        holds_more = number > 0 and any(is_under(place, [path]) for place in needed)
        if path not in ("/", cwd) and not holds_more and os.path.isdir(path):
            found.append(path)
    return found


def _keep(plan: Plan, orders: Orders) -> None:
    """Look up what a private directory would hide and must not."""
    for path in (orders.cwd, *orders.roots, *orders.kept, *plan.sockets):
        real, named = os.path.realpath(path), os.path.normpath(path)
        if real in plan.private or not os.path.lexists(real):
            continue
        hidden = is_under(real, plan.private) and not is_under(real, plan.roots)
        if hidden and real not in plan.kept:
            plan.kept.append(real)
        if named != real and is_under(named, plan.private):
            plan.links.append((named, real))


def _make_readable_outputs(home: str) -> None:
    """Make octavo's folder for full outputs: one that comes later is hidden by the reduced tier."""
    for path in (home, os.path.join(home, "outputs")):
        try:
            os.mkdir(path, 0o700)
        except OSError:
            continue


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
        found += [path for path in _git_directories(root) if is_under(path, plan.roots)]
        found += _led_to_from(os.path.join(root, ".git"), plan.roots)
    if cwd in plan.roots:
        for path in _nested_repositories(cwd):
            found += _with_link_targets(path, plan.roots)
    home = os.path.realpath(orders.home)
    if is_under(home, plan.roots) and os.path.isdir(home):
        found.append(home)
    for path in map(os.path.realpath, orders.read_only):
        if is_under(path, plan.roots) and os.path.lexists(path):
            found.append(path)
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
        if os.path.lexists(path) and is_under(path, roots) and path not in roots:
            found.append(path)
    return found


def _led_to_from(git: str, roots: list[str]) -> list[str]:
    """Return what links in a git directory lead to in a writable root: hooks, mostly."""
    hooks = os.path.join(git, "hooks")
    links = [os.path.join(git, name) for name in ("config", "hooks", "info")]
    try:
        links += [entry.path for entry in os.scandir(hooks) if entry.is_symlink()]
    except OSError:
        pass
    return [path for link in links for path in _with_link_targets(link, roots)[1:]]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _git_directories(root: str) -> list[str]:
    """Return where a `.git` *file* of a worktree or submodule leads, its common directory too."""
    pointer = _read_small(os.path.join(root, ".git"))
    if not pointer.startswith("gitdir:"):
        return []
    directory = os.path.realpath(os.path.join(root, pointer[len("gitdir:") :].strip()))
    found = [directory] if os.path.isdir(directory) else []
    common = _read_small(os.path.join(directory, "commondir")).strip()
    if common:
        found.append(os.path.realpath(os.path.join(directory, common)))
    return [path for path in found if os.path.isdir(path)]


def _read_small(path: str) -> str:
    """Return what a pointer file of git says; "" for what is none, such as a pipe or a device."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
        text = os.fsdecode(os.read(fd, _GIT_POINTER_BYTES)) if is_file else ""
    finally:
        os.close(fd)
    return "" if "\0" in text else text


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
    named_so = entry.name[0] != "." and entry.name not in NOT_WALKED
    return named_so and entry.is_dir(follow_symlinks=False)


def _git_internals(entry: os.DirEntry[str]) -> list[str]:
    if not entry.is_dir(follow_symlinks=False):
        return [entry.path]
    paths = [os.path.join(entry.path, name) for name in ("config", "hooks")]
    return [path for path in paths if os.path.lexists(path)]


def _masks(secrets: list[str], plan: Plan) -> list[str]:
    masks: list[str] = []
    above = around(plan.roots)
    for secret in secrets:
        if os.path.exists(secret) and is_maskable(secret, above):
            path = os.path.realpath(secret)
            if path not in masks:
                masks.append(path)
    return masks


def around(roots: list[str]) -> set[Identity]:
    """Return `/`, the roots and all that they lie in: the device and inode of each."""
    above = {"/"}
    for root in roots:
        path = root
        while path not in above:
            above.add(path)
            path = os.path.dirname(path)
    return {found for path in above if (found := _identity(path)) is not None}


def is_maskable(secret: str, above: set[Identity]) -> bool:
    """Return whether a secret can be hidden without a writable root that lies in it.

    Args:
        secret: where links in its path lead, there it is; one that is not there can be hidden.
        above: what is around the roots.
    """
    return _identity(secret) not in above


def _identity(path: str) -> Identity | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


Identity = tuple[int, int]
"""Device and inode."""

Socket = tuple[str, int, int]
"""A unix socket's path, inode and time of change: one made anew at the same path is another."""


def host_sockets() -> set[Socket]:
    """Return the host's unix sockets that have a path, which no namespace and mount flag closes.

    Those in /run are not among them, unless a cage sees their directory: it has its own /run.
    """
    try:
        with open("/proc/net/unix", "rb", buffering=0) as file:
            listing = file.readall()
    except OSError:
        return set()
    sockets: set[Socket] = set()
    for part in listing.split(b" /")[1:]:
        path = "/" + os.fsdecode(part.partition(b"\n")[0])
        if path.startswith("/run/") and not path.startswith(KEPT_IN_RUN):
            continue
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            state = os.fstat(place)
            real = os.readlink(f"/proc/self/fd/{place}")
        finally:
            os.close(place)
        hidden = real.startswith("/run/") and not real.startswith(KEPT_IN_RUN)
        if stat.S_ISSOCK(state.st_mode) and state.st_nlink and not hidden:
            sockets.add((real, state.st_ino, state.st_ctime_ns))
    return sockets


def is_under(path: str, roots: list[str]) -> bool:
    """Return whether `path` is one of `roots` or below one."""
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)
