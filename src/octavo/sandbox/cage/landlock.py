"""Landlock: what may be written, and in the reduced tier what may be read.

Behind the namespaces it is a second wall that fails apart from the first. It adds up what is
allowed and cannot take a path out of a tree, so masks and protected names need other means.
"""

from __future__ import annotations

import os
import stat

from . import abi

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_WRITES_SINCE = {1: _WRITE_FILE | 0x1FF0, 2: 1 << 13, 3: _TRUNCATE, 5: _IOCTL_DEV}
"""ABI version to the write rights it brought: make and remove, move between, truncate, ioctl."""
_READS = _EXECUTE | _READ_FILE | _READ_DIR
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_AND_CONNECT_TCP = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3

LEAST_ABI = 3
"""Older ones let a command truncate any file."""
NETWORK_ABI, SCOPE_ABI = 4, 6


def ruleset(
    writable: list[str],
    devices: list[str],
    *,
    readable: list[str] | None = None,
    executable: list[str] | None = None,
    tcp: bool = True,
) -> int:
    """Return a ruleset descriptor; 0 rights are left for what is in no list.

    Args:
        writable: trees in which everything may be done.
        devices: device files, or a tree of them, to read and write.
        readable: trees that may be read; everywhere else only names may, and None leaves
            reading alone.
        executable: the only files, or trees of files, that can be executed; None leaves that to
            what may be read.
        tcp: True leaves TCP alone; False refuses it where the kernel can.
    """
    version = abi.landlock_abi()
    handled = 0
    for since, rights in _WRITES_SINCE.items():
        handled |= rights if version >= since else 0
    if readable is not None:
        handled |= _READS
    if executable is not None:
        handled |= _EXECUTE
    attributes = handled.to_bytes(8, "little")
    if version >= NETWORK_ABI:
        attributes += (0 if tcp else _BIND_AND_CONNECT_TCP).to_bytes(8, "little")
    if version >= SCOPE_ABI:
        attributes += _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS.to_bytes(8, "little")
    rules = abi.landlock_ruleset(attributes)
    for path in writable:
        _allow(rules, path, handled & ~_READS)
    for path in devices:
        rights = _WRITE_FILE | _READ_FILE | _READ_DIR | _TRUNCATE | _IOCTL_DEV
        _allow(rules, path, rights & handled)
    for path in readable or ():
        _allow(rules, path, _READS if executable is None else _READS & ~_EXECUTE)
    for path in executable or ():
        _allow(rules, path, _EXECUTE)
    if readable is not None:
        _allow(rules, "/", _READ_DIR)
    return rules


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FILE_RIGHTS
        abi.landlock_allow(rules, rights, fd)
    finally:
        os.close(fd)


def all_but(hidden: list[str]) -> list[str]:
    """Return trees that cover the file system except `hidden`.

    Every sibling on the way down to a hidden path is a tree of its own; a directory on the way
    is not in the list, so what is made in it later cannot be read.
    """
    gone = {path for path in map(os.path.realpath, hidden) if path != "/"}
    on_the_way = {"/"}
    for path in gone:
        while (path := os.path.dirname(path)) != "/":
            on_the_way.add(path)
    trees: list[str] = []
    for directory in sorted(on_the_way):
        if any(directory == path or directory.startswith(path + "/") for path in gone):
            continue
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for name in names:
            path = os.path.join(directory, name)
            if path not in gone and path not in on_the_way and not os.path.islink(path):
                trees.append(path)
    return trees
