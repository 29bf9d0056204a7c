"""The files of a workspace as they were, kept so that they can be had back.

A `Store` keeps one folder's snapshots: `take` notes what differs from the last one, `restore` makes
the folder what it was. Content is kept as it is on the disk, byte for byte, in git's pack format
and outside of the workspace; the person's repository, its refs and its index are only read. A
folder needs no git for this.

Not kept: what is larger than a limit, sockets and devices, owners, extended attributes, times, and
which names are hard links of one file. Nor are the objects of the folder's own repository: nothing
here deletes them, so what is restored of `.git` finds them where they were. Those of repositories
inside of it are kept.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence

import msgspec


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One file, link or folder.

    Attributes:
        path: relative to the folder, as the system has it.
        stamp: when its inode last changed, as `scan` says it; empty where that is not certain.
        mode: of the inode: type and permissions.
        size: bytes of a file's content; 1 for a folder that could not be listed; else 0.
        content: a file's git blob id, a link's target; empty for others and where it is not kept.
        pack: number of the pack that holds the content; 0 where there is none.
        offset: where in the pack.
    """

    path: bytes
    stamp: bytes
    mode: int
    size: int
    content: bytes
    pack: int
    offset: int

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_kept(self) -> bool:
        """Whether it can be made again from what is kept."""
        return not stat.S_ISREG(self.mode) or bool(self.content)

    def same_as(self, other: Entry | None) -> bool:
        """Whether both are the same thing to a person: type, permissions and content."""
        if other is None or self.mode != other.mode or self.content != other.content:
            return False
        return self.is_kept or (self.size == other.size and self.stamp == other.stamp != b"")


class Change(msgspec.Struct, frozen=True):
    """How one path differs between two snapshots; None: it is not there."""

    path: bytes
    before: Entry | None
    after: Entry | None


class Span(msgspec.Struct, frozen=True):
    """What happened between two snapshots. Without `after`: up to now."""

    before: int
    after: int | None = None


class Undone(msgspec.Struct, frozen=True):
    """What undoing did.

    Attributes:
        before: the snapshot of what was there before.
        after: the snapshot of what is there now.
        changes: what had to change.
        left: those of them that did not become as they were: files that were too large to keep,
            and what others changed in these moments.
    """

    before: int
    after: int
    changes: tuple[Change, ...]
    left: tuple[Change, ...]


class SnapshotFailed(Exception):
    """A snapshot could not be taken or restored; the message is a sentence for a person."""


class EditedSince(SnapshotFailed):
    """Files that would be restored were edited by somebody else meanwhile; nothing was changed.

    Attributes:
        paths: these files.
    """

    def __init__(self, paths: Sequence[bytes]) -> None:
        super().__init__(f"{len(paths)} files were edited since.")
        self.paths = tuple(paths)
