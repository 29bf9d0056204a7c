"""Edits to files as a model writes them, from its text to the bytes that result.

The format is Codex's: `*** Begin Patch`, sections that add, delete or update a file, `*** End
Patch`. Everything here is pure: `parse.parse` reads the text, `plan.paths` names the files to
read, `plan.plan` turns their content into changes, `heredoc.extract_heredoc` finds a patch in a
shell command, `words` holds what a model is told. Nothing here touches a disk, so a patch that
fails anywhere has changed nothing.
"""

from __future__ import annotations

import msgspec

from octavo.protocol.events import FileEdit
from octavo.sandbox import FileChange
from octavo.tools import ToolFailed


class PatchError(ToolFailed):
    """The patch cannot be applied; no file was changed. The text says what to mend."""


class Chunk(msgspec.Struct, frozen=True):
    """One place to change.

    Attributes:
        headers: texts of its `@@` lines, outermost first; empty ones are left out.
        lines: with their first character: " " keeps a line, "-" removes it, "+" adds it.
        at_end: `*** End of File` followed, so the lines are the last of the file.
        line: number of the first of `lines` in the patch.
    """

    headers: tuple[str, ...]
    lines: tuple[str, ...]
    at_end: bool
    line: int

    def old(self) -> list[str]:
        """The lines that have to be in the file."""
        return [line[1:] for line in self.lines if line[0] != "+"]

    def new(self) -> list[str]:
        """The lines that are there afterwards."""
        return [line[1:] for line in self.lines if line[0] != "-"]


class AddFile(msgspec.Struct, frozen=True):
    """Create `path` with `lines`, or replace what it holds."""

    path: str
    lines: tuple[str, ...]
    line: int


class DeleteFile(msgspec.Struct, frozen=True):
    """Remove the file at `path`."""

    path: str
    line: int


class UpdateFile(msgspec.Struct, frozen=True):
    """Change `path` at each chunk, and call it `move_to` afterwards. One of the two is there."""

    path: str
    move_to: str | None
    chunks: tuple[Chunk, ...]
    line: int


Section = AddFile | DeleteFile | UpdateFile


class Patch(msgspec.Struct, frozen=True):
    """A patch as written; paths are as the model gave them."""

    sections: tuple[Section, ...]


class Plan(msgspec.Struct, frozen=True):
    """What a patch comes to.

    Attributes:
        changes: for `Hands.change`, at most one a path; empty when every file stays as it is.
        edits: the same for the log and for people, with diffs.
        summary: for the model.
    """

    changes: tuple[FileChange, ...]
    edits: tuple[FileEdit, ...]
    summary: str
