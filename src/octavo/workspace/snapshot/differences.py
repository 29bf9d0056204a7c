"""How two snapshots differ, and what taking changes back out of a third one makes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from octavo.workspace.snapshot import Change, Entry


def take_back(
    target: dict[bytes, Entry], after: Mapping[bytes, Entry], before: Mapping[bytes, Entry]
) -> set[bytes]:
    """Take the changes from `before` to `after` out of `target`; return what was edited later."""
    undone = [one for one in differences(after, before) if not _was_hidden(one, before)]
    edited = {
        one.path
        for one in undone
        if not is_same(target.get(one.path), one.before)
        and not is_same(target.get(one.path), one.after)
    }
    for one in undone:
        if one.after is None:
            target.pop(one.path, None)
        else:
            target[one.path] = one.after
    # What somebody put into a folder that has to go, or to become a file.
    gone = tuple(
        one.path + b"/"
        for one in undone
        if one.before is not None
        and one.before.is_folder
        and not (one.after is not None and one.after.is_folder)
    )
    if gone:
        mine = [path for path in target if path.startswith(gone)]
        for path in mine:
            for folder in _above(path):
                if folder not in target and folder in after:
                    target[folder] = after[folder]  # an emptier folder stays around it
                elif folder in target and not target[folder].is_folder:
                    edited.add(path)
    return edited


def differences(before: Mapping[bytes, Entry], after: Mapping[bytes, Entry]) -> list[Change]:
    """Return what has to change to get from one snapshot to another, by path."""
    changes = [
        Change(path, before.get(path), entry)
        for path, entry in after.items()
        if not entry.same_as(before.get(path))
    ]
    gone = [Change(path, entry, None) for path, entry in before.items() if path not in after]
    return sorted(changes + gone, key=lambda one: one.path)


def is_same(entry: Entry | None, other: Entry | None) -> bool:
    """Whether both are the same thing to a person, or both are not there."""
    return other is None if entry is None else entry.same_as(other)


def can_be_made(change: Change) -> bool:
    """Whether both sides of a change are kept: what is not kept is never deleted nor made."""
    return all(side is None or side.is_kept for side in (change.before, change.after))


def is_hidden(path: bytes, entries: Mapping[bytes, Entry]) -> bool:
    """Whether `path` is in a folder that could not be listed, so that nobody knows of it."""
    above = (entries.get(folder) for folder in _above(path))
    return any(one is not None and one.is_folder and bool(one.size) for one in above)


def _was_hidden(change: Change, before: Mapping[bytes, Entry]) -> bool:
    """Whether what seems to be new may have been there, in a folder that could not be listed."""
    return change.after is None and is_hidden(change.path, before)


def _above(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
