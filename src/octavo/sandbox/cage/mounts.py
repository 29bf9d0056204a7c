"""The file system of a cage: everything read-only, the writable roots bound back over it.

Copies of the trees are taken before the first one is changed, so that what is bound back is the
host's own and not a copy of a read-only one. Attributes are set on detached copies, through
descriptors; only putting them in place goes by path.
"""

from __future__ import annotations

import os
import stat

from . import abi
from .plan import KEPT_IN_RUN, Plan

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_QUIET = abi.MOUNT_NOSUID | abi.MOUNT_NODEV
_FORBIDDEN_FILE = "/dev/.octavo-forbidden"
_RESOLVER_FILE, _RESOLVER = "/dev/.octavo-resolv.conf", b"nameserver 127.0.0.1\n"


def build(plan: Plan) -> None:
    """Make this process's mount namespace the cage of `plan`."""
    binds = [(path, writable, _copy(path)) for path, writable in plan.binds()]
    devices = [(f"/dev/{name}", _copy(f"/dev/{name}")) for name in DEVICES
               if os.path.exists(f"/dev/{name}")]  # fmt: skip
    kept = [(path, _copy(path)) for path in KEPT_IN_RUN if os.path.isdir(path)]
    kept += [(path, _copy(path)) for path in plan.sockets
             if path.startswith("/run/") and not path.startswith(KEPT_IN_RUN)]  # fmt: skip
    abi.mount_setattr("/", abi.MOUNT_RDONLY | _QUIET)
    _build_dev(devices)
    if os.path.isdir("/run"):
        _build_run(kept)
    for path in sorted(plan.private):
        _build_private(path, plan.private)
    for path, writable, tree in binds:
        abi.mount_setattr("", _QUIET | (0 if writable else abi.MOUNT_RDONLY), at=tree)
        _make_way(path, plan.private, is_directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        abi.attach(tree, path)
    for path, target in plan.links:
        _make_link(path, target, plan.private)
    for path in plan.masks:
        mask(path)


def _copy(path: str) -> int:
    """Copy the mounts at `path`, which must not have been swapped for something else."""
    before = os.lstat(path)
    tree = abi.clone_tree(path)
    after = os.fstat(tree)
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        raise OSError(116, f"{path} was replaced while the cage was built")
    return tree


def _build_dev(devices: list[tuple[str, int]]) -> None:
    abi.mount("tmpfs", "/dev", abi.MS_NOSUID | abi.MS_NOEXEC, "mode=755,size=64k")
    for path, tree in devices:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        abi.attach(tree, path)
    for name, target in _DEVICE_LINKS:
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/shm")
    os.mkdir("/dev/pts")
    os.close(os.open(_FORBIDDEN_FILE, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0))
    os.chmod(_FORBIDDEN_FILE, 0)
    resolver = os.open(_RESOLVER_FILE, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    os.write(resolver, _RESOLVER)
    os.close(resolver)
    terminals = "newinstance,ptmxmode=0666,mode=620"
    abi.mount("devpts", "/dev/pts", abi.MS_NOSUID | abi.MS_NOEXEC, terminals)
    abi.mount_setattr("/dev", abi.MOUNT_RDONLY, recursive=False)
    abi.mount("tmpfs", "/dev/shm", abi.MS_NOSUID | abi.MS_NODEV, "mode=1777,size=50%")


def _build_run(kept: list[tuple[str, int]]) -> None:
    abi.mount("tmpfs", "/run", abi.MS_NOSUID | abi.MS_NODEV, "mode=755,size=16k")
    for path, tree in kept:
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        abi.mount_setattr("", abi.MOUNT_RDONLY | _QUIET, at=tree)
        abi.attach(tree, path)
    os.makedirs("/run/lock", exist_ok=True)
    abi.mount_setattr("/run", abi.MOUNT_RDONLY, recursive=False)


def _build_private(path: str, private: list[str]) -> None:
    """Put an empty directory of the cage's own over `path`; inside another, it is made there."""
    if any(path.startswith(other + "/") for other in private):
        os.makedirs(path, exist_ok=True)
    else:
        abi.mount("tmpfs", path, abi.MS_NOSUID | abi.MS_NODEV, "mode=1777,size=50%")


def _make_way(path: str, private: list[str], *, is_directory: bool) -> None:
    """Make a place for `path` where a private directory lies over the host's.

    What leads to it is bound on itself, so that no command puts something else there.
    """
    if os.path.lexists(path) or not any(path.startswith(top + "/") for top in private):
        return
    parent = os.path.dirname(path)
    _make_way(parent, private, is_directory=True)
    if is_directory:
        os.mkdir(path, 0o755)
        abi.attach(abi.clone_tree(path, recursive=False), path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _make_link(path: str, target: str, private: list[str]) -> None:
    _make_way(os.path.dirname(path), private, is_directory=True)
    try:
        os.symlink(target, path)
    except OSError:
        return


def mask(path: str) -> None:
    """Make `path` unreadable, unless it is.

    One that has gone in the meantime, or goes now, hides nothing.
    """
    try:
        _mask(path)
    except FileNotFoundError:
        return


def _mask(path: str) -> None:
    try:
        state = os.stat(path)
    except OSError:
        return
    if stat.S_ISDIR(state.st_mode):
        if _is_masked_directory(path, state):
            return
        flags = abi.MS_RDONLY | abi.MS_NOSUID | abi.MS_NODEV | abi.MS_NOEXEC
        abi.mount("tmpfs", path, flags, "mode=000,size=4k")
        return
    if os.path.samestat(state, os.stat(_FORBIDDEN_FILE)):
        return
    forbidden = abi.clone_tree(_FORBIDDEN_FILE, recursive=False)
    abi.mount_setattr("", abi.MOUNT_RDONLY | _QUIET, at=forbidden, recursive=False)
    abi.attach(forbidden, path)


def _is_masked_directory(path: str, state: os.stat_result) -> bool:
    if stat.S_IMODE(state.st_mode):
        return False
    return state.st_dev != os.stat(os.path.dirname(path)).st_dev


def ask_loopback_for_names() -> None:
    """Let programs ask at 127.0.0.1 for names, which they do anyway where nothing is said."""
    path = os.path.realpath("/etc/resolv.conf")
    if not os.path.isfile(path):
        return
    resolver = abi.clone_tree(_RESOLVER_FILE, recursive=False)
    abi.mount_setattr("", abi.MOUNT_RDONLY | _QUIET, at=resolver, recursive=False)
    abi.attach(resolver, path)


def hold(path: str) -> None:
    """Make `path` read-only, unless it is. One that has gone meanwhile needs no holding."""
    try:
        if not os.path.islink(path) and os.statvfs(path).f_flag & os.ST_RDONLY:
            return
        tree = _copy(path)
    except OSError:
        return
    abi.mount_setattr("", abi.MOUNT_RDONLY | _QUIET, at=tree)
    try:
        abi.attach(tree, path)
    except FileNotFoundError:
        return


def counts_processes_apart() -> bool:
    """Whether a pid namespace has a limit of its own: before 6.14 it is the whole machine's."""
    return _kernel() >= (6, 14)


def mount_proc(*, processes: int | None) -> None:
    """Mount a read-only /proc of this pid namespace, which may hold so many processes.

    None leaves that limit alone: see `counts_processes_apart`.
    """
    flags = abi.MS_NOSUID | abi.MS_NODEV | abi.MS_NOEXEC
    if processes is None:
        abi.mount("proc", "/proc", flags | abi.MS_RDONLY)
        return
    abi.mount("proc", "/proc", flags)
    try:
        limit = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY | os.O_CLOEXEC)
        os.write(limit, b"%d" % processes)
        os.close(limit)
    except OSError:
        pass
    abi.mount_setattr("/proc", abi.MOUNT_RDONLY, recursive=False)


def _kernel() -> tuple[int, int]:
    major, _, rest = os.uname().release.partition(".")
    minor = rest.partition(".")[0]
    digits = "".join(char for char in minor if char.isdigit())
    return (int(major), int(digits or 0)) if major.isdigit() else (0, 0)
