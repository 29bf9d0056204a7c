"""Turns a patch and the files it speaks of into changes, diffs and a summary.

Sections work one after the other on what the sections before left, as if each were written at
once; the changes that come out are the difference between the beginning and the end, so a file
is written or deleted at most once. Nothing is read here: the caller brings what `paths` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from octavo.protocol.events import FileEdit
from octavo.sandbox import Delete, FileChange, FileState, Write
from octavo.tools.patch import AddFile, DeleteFile, Patch, PatchError, Plan, UpdateFile
from octavo.tools.patch.content import Content, is_utf16
from octavo.tools.patch.diff import Region, compose, unified
from octavo.tools.patch.locate import Placer
from octavo.tools.patch.parse import shown

_EMPTY = Content.of(())


def paths(patch: Patch, cwd: Path) -> list[Path]:
    """Return the files that `plan` has to know, each once, absolute."""
    named: dict[Path, None] = {}
    for section in patch.sections:
        named[resolve(section.path, cwd)] = None
        if isinstance(section, UpdateFile) and section.move_to is not None:
            named[resolve(section.move_to, cwd)] = None
    return list(named)


def resolve(path: str, cwd: Path) -> Path:
    """Return `path` absolute, `..` taken as text, so that what is shown is what is written."""
    return Path(os.path.normpath(cwd / path))


def plan(patch: Patch, cwd: Path, files: Mapping[Path, FileState]) -> Plan:
    """Return what `patch` does to `files`, which holds every path of `paths`.

    Raises:
        PatchError: a part of it cannot be done, so nothing should be.
    """
    work = _Work(cwd, files)
    try:
        work.refuse_aliases(patch)
        for section in patch.sections:
            match section:
                case AddFile():
                    work.add(section)
                case DeleteFile():
                    work.delete(section)
                case UpdateFile():
                    work.update(section)
                case _:
                    assert_never(section)
        return work.plan()
    except PatchError as error:
        raise PatchError(
            f"{error}\nNo file was changed. Mend this and send the whole patch again."
        ) from None


class _Text:
    """What is at a path by now.

    Attributes:
        now: None while it is byte for byte what was read at `origin`.
        origin: the path whose first content `regions` compare it with; None when it was added.
    """

    def __init__(self, now: Content | None, origin: Path | None, regions: list[Region]) -> None:
        self.now = now
        self.origin = origin
        self.regions = regions


class _Work:
    def __init__(self, cwd: Path, files: Mapping[Path, FileState]) -> None:
        self._cwd = cwd
        self._files = files
        self._names: dict[Path, str] = {}
        """How the patch calls them."""
        self._first: dict[Path, Content] = {}
        """What was read, decoded when a section needs it."""
        self._now: dict[Path, _Text | None] = {}
        """What sections have touched, in that order; None: no longer there."""
        self._said: dict[str, dict[str, None]] = {"A": {}, "M": {}, "D": {}}
        self._notes: list[str] = []

    def refuse_aliases(self, patch: Patch) -> None:
        """Raise if two paths of the patch lead to one file; one edit would undo the other."""
        seen: dict[Path, Path] = {}
        for path in paths(patch, self._cwd):
            state = self._files[path]
            if state.kind != "file" or state.real_path == Path():
                continue
            other = seen.setdefault(state.real_path, path)
            if other != path:
                raise PatchError(
                    f"{other} and {path} are one file, {state.real_path}: one of them is a "
                    "symbolic link. Patch it under one name."
                )

    def add(self, section: AddFile) -> None:
        path = self._resolved(section.path)
        state = self._files[path]
        if state.kind not in ("file", "missing"):
            raise PatchError(f"Cannot add {section.path}: {_obstacle(state)}")
        self._now[path] = _Text(Content.of(section.lines), None, [])
        self._said["A"][section.path] = None

    def delete(self, section: DeleteFile) -> None:
        path = self._resolved(section.path)
        self._current(path, f"Cannot delete {section.path}")
        self._now[path] = None
        self._said["D"][section.path] = None

    def update(self, section: UpdateFile) -> None:
        path = self._resolved(section.path)
        text = self._current(path, f"Cannot update {section.path}")
        if section.chunks:
            text = self._edited(text, section)
        self._now[path] = text
        target = path
        if section.move_to is not None:
            target = self._resolved(section.move_to)
            state = self._files[target]
            if state.kind not in ("file", "missing"):
                raise PatchError(
                    f"Cannot move {section.path} to {section.move_to}: {_obstacle(state)}"
                )
            if target != path and self._is_there(target):
                self._notes.append(f"{section.move_to}: what was there has been replaced.")
            self._now[path] = None
            self._now[target] = text
        self._said["M"][section.move_to or section.path] = None

    def _edited(self, text: _Text, section: UpdateFile) -> _Text:
        now = text.now
        if now is None and text.origin is not None:
            if is_utf16(self._files[text.origin].data):
                raise PatchError(
                    f"Cannot update {section.path}: it is UTF-16, which a patch cannot edit. "
                    "Convert it with a command first."
                )
            now = self._read(text.origin)
        assert now is not None, "only what was read is not yet decoded"
        placer = Placer(now.text, section.path)
        for number, chunk in enumerate(section.chunks, 1):
            what = f"{section.path}, chunk {number} of {len(section.chunks)}"
            placer.place(chunk, f"{what} (patch line {chunk.line}, {shown(chunk.lines[0])})")
        self._notes += placer.notes()
        edits = placer.edits()
        regions = []
        if text.origin is not None:
            regions = compose(self._read(text.origin).text, text.regions, edits)
        return _Text(now.replace(edits), text.origin, regions)

    def plan(self) -> Plan:
        changes: list[FileChange] = []
        edits: list[FileEdit] = []
        for path, text in self._now.items():
            change = self._change(path, text)
            if change is not None:
                changes.append(change)
                edits += self._edits(path, text)
            elif self._files[path].kind == "file":
                name = self._names[path]
                self._notes.append(f"{name}: nothing changed, it was like this before.")
        said = [f"{letter} {path}" for letter, named in self._said.items() for path in named]
        summary = ["Success. Updated the following files:", *said, *self._notes]
        return Plan(tuple(changes), tuple(edits), "\n".join(summary) + "\n")

    def _change(self, path: Path, text: _Text | None) -> FileChange | None:
        state = self._files[path]
        before = state.data if state.kind == "file" else None
        if text is None:
            return None if before is None else Delete(path, before=before)
        mode = None
        data = self._data(text)
        if text.origin is not None and text.origin != path:
            mode = self._files[text.origin].mode or None
        elif data == before:
            return None
        return Write(path, data, mode=mode, before=before, overwrite=before is not None)

    def _data(self, text: _Text) -> bytes:
        if text.now is not None:
            return text.now.encode()
        return self._files[text.origin].data if text.origin is not None else b""

    def _edits(self, path: Path, text: _Text | None) -> list[FileEdit]:
        """Return how a changed path is shown; a move is shown where it ends."""
        was = self._read(path) if self._files[path].kind == "file" else None
        if text is None:
            moved = any(t and t.origin == path for t in self._now.values())
            return [] if moved or was is None else [self._gone(path, was)]
        origin = text.origin
        if origin is not None and (origin == path or self._now[origin] is None):
            diff = unified(self._read(origin), text.now, text.regions) if text.now else ""
            if origin == path:
                return [FileEdit(str(path), "update", diff)]
            replaced = [] if was is None else [self._gone(path, was)]
            return [*replaced, FileEdit(str(origin), "update", diff, str(path))]
        now = text.now or Content.decode(self._data(text))
        whole = [Region(0, was.text.size if was else 0, now.text.size)]
        diff = unified(was or _EMPTY, now, whole)
        return [FileEdit(str(path), "add" if was is None else "update", diff)]

    def _gone(self, path: Path, was: Content) -> FileEdit:
        diff = unified(was, _EMPTY, [Region(0, was.text.size, 0)])
        return FileEdit(str(path), "delete", diff)

    def _resolved(self, path: str) -> Path:
        resolved = resolve(path, self._cwd)
        self._names.setdefault(resolved, path)
        return resolved

    def _is_there(self, path: Path) -> bool:
        return (
            self._now[path] is not None if path in self._now else (self._files[path].kind == "file")
        )

    def _current(self, path: Path, task: str) -> _Text:
        if path in self._now:
            text = self._now[path]
            if text is None:
                raise PatchError(f"{task}: the patch itself deletes or moves it further up.")
            return text
        state = self._files[path]
        if state.kind != "file":
            raise PatchError(f"{task}: {_obstacle(state)}")
        return _Text(None, path, [])

    def _read(self, path: Path) -> Content:
        if path not in self._first:
            self._first[path] = Content.decode(self._files[path].data)
        return self._first[path]


def _obstacle(state: FileState) -> str:
    match state.kind:
        case "missing":
            return "there is no such file. Check the path; `*** Add File:` makes a new one."
        case "directory":
            return "it is a directory."
        case "unreadable":
            return f"it cannot be read. {state.reason}".rstrip()
        case "file" | "other":
            return "it is not a regular file."
        case _:
            assert_never(state.kind)
