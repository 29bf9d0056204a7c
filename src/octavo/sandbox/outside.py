"""What the host may change while a cage stands, looked at before every command.

A wall over one file is gone when the host puts another file in its place, which is how editors,
git and login commands write. So secrets and protected files are told apart by what they are, not
by their names alone, and whatever is new gets its wall again. A command that is running meanwhile
keeps the walls it was given.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Sequence

from octavo.sandbox.cage.orders import Orders
from octavo.sandbox.cage.plan import Socket, around, host_sockets, is_maskable

Identity = tuple[int, int, int]
"""Device, number, and when it was last changed."""
_SETTLED_NS = 50_000_000
"""A directory changed later than this before now may change again within one tick of its clock."""


class Outside:
    """Secrets, sockets and protected files of the host, as they were when last looked at."""

    def __init__(self, orders: Orders, globs: Sequence[str] = ()) -> None:
        """Look at all of it, and at what `globs` match: see `globs.find`.

        The cage is still to be made: what comes while it is may have no wall, and is news.
        """
        self._sockets: set[Socket] | None = None if orders.network else host_sockets()
        """None where commands share the host's network, and so its list of sockets."""
        self._allowed = set(map(os.path.realpath, orders.sockets))
        self._roots = [os.path.realpath(root) for root in orders.roots]
        above = around(self._roots)
        self._secrets = _known(path for path in orders.secrets if is_maskable(path, above))
        self._folders: dict[str, tuple[int, ...] | None] = {"": None}
        """Where a secret can come or go: most commands need to look at nothing else."""
        self._protected = _known([])
        self._globs = globs
        self._walked: dict[str, tuple[int, ...] | None] = {}
        """Where another file that a glob matches can come."""
        if globs:
            self._walk()
        _changed(self._secrets, os.stat)

    def begin(self, protected: Sequence[str]) -> None:
        """The cage stands, and holds what it says."""
        self._protected = _known(protected)
        _changed(self._protected, os.lstat)

    def news(self) -> tuple[list[str], list[str]]:
        """Return what is to be hidden, and what is to be held read-only, since the last look."""
        secrets, sockets, hold = self._look()
        return [*map(os.path.realpath, secrets), *sockets], hold

    def _look(self) -> tuple[list[str], list[str], list[str]]:
        """Return the secrets, sockets and protected files that are new, and learn them."""
        secrets: list[str] = []
        sockets: list[str] = []
        if not all(was and was == _stamp(path) for path, was in self._walked.items()):
            self._walk()
            self._folders = {"": None}
        if not all(was and was == _stamp(path) for path, was in self._folders.items()):
            self._folders = self._stamps()
            secrets = _changed(self._secrets, os.stat, self._folders)
        hold = _changed(self._protected, os.lstat)
        if self._sockets is not None:
            found = host_sockets()
            if not self._sockets.issuperset(found):
                sockets = sorted({path for path, _, _ in found - self._sockets} - self._allowed)
                self._sockets.update(found)
        return secrets, sockets, hold

    def _walk(self) -> None:
        """Count as secrets what the globs match by now."""
        from octavo.sandbox.globs import MAX_WATCHED, find

        found = find(self._globs)
        above = around(self._roots)
        stamps = {folder: _stamp(folder) for folder in found.folders}
        self._walked = stamps if len(stamps) <= MAX_WATCHED else {}
        for path in found.paths:
            if path not in self._secrets and is_maskable(path, above):
                self._secrets[path] = None

    def _stamps(self) -> dict[str, tuple[int, ...] | None]:
        """Return the folders whose entries decide what the secrets are, with their stamps."""
        nearest = _Nearest()
        folders: set[str] = set()
        for folder in {os.path.dirname(path) for path in self._secrets}:
            folders |= nearest.of(folder)
        for path in self._secrets:
            if os.path.dirname(path) in folders and os.path.islink(path):
                folders |= nearest.of(os.path.dirname(os.path.realpath(path)))
        return {folder: _stamp(folder) for folder in folders}


class _Nearest:
    """Finds the folders in which something that is not there yet would come."""

    def __init__(self) -> None:
        self._near: dict[str, str] = {}
        self._real: dict[str, str] = {}

    def of(self, folder: str) -> set[str]:
        """Return `folder` as it is named and where its links lead, or what is nearest around.

        Where the way ends in a folder that is there and has no such entry, links can only be in
        what leads to that folder; many share it, and it is followed once.
        """
        near = self._nearest(folder)
        if near not in self._real:
            self._real[near] = os.path.realpath(near)
        if near == folder:
            return {near, self._real[near]}
        entry = folder[len(near) :].strip("/").partition("/")[0]
        if ".." in folder or os.path.lexists(os.path.join(near, entry)):  # a link to nowhere
            return {near, self._nearest(os.path.realpath(folder))}
        return {near, self._real[near]}

    def _nearest(self, folder: str) -> str:
        """Return the folder, or the first around it that is there."""
        if folder not in self._near:
            there = folder == "/" or os.path.isdir(folder)
            self._near[folder] = folder if there else self._nearest(os.path.dirname(folder))
        return self._near[folder]


def _known(paths: Iterable[str]) -> dict[str, Identity | None]:
    return dict.fromkeys(paths)


def _stamp(folder: str) -> tuple[int, ...] | None:
    """Return what changes when an entry of `folder` does; None if that cannot be told yet."""
    try:
        state = os.stat(folder)
    except OSError:
        return ()
    if time.time_ns() - state.st_ctime_ns < _SETTLED_NS:
        return None
    return state.st_dev, state.st_ino, state.st_ctime_ns


def _changed(
    known: dict[str, Identity | None],
    look: Callable[[str], os.stat_result],
    folders: Container[str] | None = None,
) -> list[str]:
    """Return the paths at which something else is now than is known, and learn it.

    Args:
        folders: all that are there, of those that the paths are in; None: look everywhere.
    """
    changed: list[str] = []
    for path, before in known.items():
        try:
            if folders is not None and os.path.dirname(path) not in folders:
                raise FileNotFoundError
            state = look(path)
        except OSError:
            now = None
        else:
            now = (state.st_dev, state.st_ino, state.st_ctime_ns)
        if now != before:
            known[path] = now
            if now is not None:
                changed.append(path)
    return changed
