"""What a call is about to do, and what it did: parts of `events`.

An effect can be told apart afterwards by what is written here before it; see `agent.unfinished`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class EventBase(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """One line of the log."""


class GitMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a repository stood before git was to change it; see `workspace.git_mark`.

    Attributes:
        top: of the work tree, absolute.
        head: the ref that is checked out, or the commit itself.
        commit: what that is; None before the first.
        refs: a digest of all refs; `index` of the index.
    """

    top: str
    head: str
    commit: str | None
    refs: str
    index: str


class RunIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="run", omit_defaults=True):
    """A command is about to start.

    Attributes:
        git: where the repository stands, when the command is nothing but plain git.
    """

    command: str
    cwd: str
    tty: bool = False
    outside: bool = False
    git: GitMark | None = None


class FileEdit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of an edit. Paths are absolute; `diff` is unified, without file headers."""

    path: str
    kind: Literal["add", "delete", "update"]
    diff: str
    move_path: str | None = None


class FileMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file is before an edit and will be after it: digests, None where there is no file."""

    path: str
    before: str | None = None
    after: str | None = None


class EditIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="edit", omit_defaults=True):
    """Files are about to change.

    Attributes:
        changes: as people are shown them.
        files: as they can be told apart after a crash; none in older logs.
    """

    changes: tuple[FileEdit, ...]
    files: tuple[FileMark, ...] = ()


class ToolIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="tool", omit_defaults=True):
    """A tool of an MCP server is about to be called.

    Attributes:
        reads: it only reads, as its server says and a person agreed to.
    """

    server: str
    tool: str
    reads: bool = False


Intent = RunIntent | EditIntent | ToolIntent


class CallFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a command did, beyond what the model is told.

    Attributes:
        running: it outlived its call; a `ProcessEnded` follows.
        session_id: the number the model knows it by.
        exit_code: 128 + n when signal n ended it.
        output_path: file with the whole output, when the model saw only a part.
        declined: a person or the policy said no.
        found: octavo stopped while the call was open; this is what came of it, as far as that could
            be seen when the thread was opened again.
    """

    exit_code: int | None = None
    duration_ms: int | None = None
    running: bool = False
    session_id: int | None = None
    output_path: str | None = None
    declined: bool = False
    found: Literal["done", "not_done", "partly", "unknown"] | None = None
