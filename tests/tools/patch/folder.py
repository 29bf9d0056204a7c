"""A folder in memory for patches to change, so that their tests need no disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from octavo.sandbox import Delete, FileState, Write
from octavo.tools.patch import Plan
from octavo.tools.patch.parse import parse
from octavo.tools.patch.plan import paths, plan

CWD = Path("/work")


def planned(files: Mapping[str, bytes | FileState], text: str) -> Plan:
    """Return the plan of a patch for `files`, which are named relative to `CWD`."""
    patch = parse(text)
    return plan(patch, CWD, {path: _state(files, path) for path in paths(patch, CWD)})


def patched(files: Mapping[str, bytes], text: str) -> dict[str, bytes]:
    """Return `files` after a patch, its changes applied as strictly as the sandbox does."""
    after = dict(files)
    changed = set[Path]()
    for change in planned(files, text).changes:
        assert change.path not in changed, "a path is changed twice"
        changed.add(change.path)
        name = str(change.path.relative_to(CWD))
        assert files.get(name) == change.before
        match change:
            case Write():
                assert change.overwrite == (name in files)
                after[name] = change.data
            case Delete():
                del after[name]
    return after


def update(body: str, path: str = "a.txt") -> str:
    """Return a patch that updates one file."""
    return f"*** Begin Patch\n*** Update File: {path}\n{body}*** End Patch\n"


def _state(files: Mapping[str, bytes | FileState], path: Path) -> FileState:
    name = str(path.relative_to(CWD)) if path.is_relative_to(CWD) else str(path)
    state = files.get(name)
    if isinstance(state, FileState):
        return state
    if state is None:
        return FileState("missing")
    return FileState("file", state, 0o644, path)
