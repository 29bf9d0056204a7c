"""The AGENTS.md files that apply to a working directory.

The user's own file comes first, then one file a directory from the project's root down to the
working directory, within a budget of bytes. A repository is not trusted with more than its words:
a link out of the project, a pipe or a device is refused, reading never waits, and characters that
hide what a text says are made visible (`visible`). What was refused or cut is a warning, not an
error.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from octavo.context.documents import Document, read_inside, read_own
from octavo.context.visible import visible_line

NAMES = ("AGENTS.override.md", "AGENTS.md")
SEPARATOR = "--- project-doc ---"
MAX_DEPTH = 64
"""How many directories above the working directory are searched for the project's root."""


class Instructions(msgspec.Struct, frozen=True):
    """What was found, in the order it is said."""

    own: str = ""
    """The user's own file."""
    project: tuple[str, ...] = ()
    """The project's files, root first."""
    sources: tuple[Path, ...] = ()
    """Where each text comes from."""
    warnings: tuple[str, ...] = ()
    """One sentence each, for a person."""


def instructions_text(found: Instructions, cwd: Path) -> str:
    """Return `found` as the model reads it; "" when there is nothing to say."""
    project = "\n\n".join(found.project)
    texts = [found.own] if found.own else []
    if project:
        texts += [SEPARATOR, project] if texts else [project]
    if not texts:
        return ""
    body = _unframed("\n\n".join(texts))
    heading = f"# AGENTS.md instructions for {visible_line(str(cwd))}"
    return f"{heading}\n\n<INSTRUCTIONS>\n{body}\n</INSTRUCTIONS>"


def _unframed(text: str) -> str:
    """Return `text` unable to end the frame it is put in."""
    if "<" not in text:
        return text
    closing = r"<\s*/\s*INSTRUCTIONS\s*>"
    return re.sub(closing, "&lt;/INSTRUCTIONS&gt;", text, flags=re.IGNORECASE)


def find_instructions(
    cwd: Path,
    *,
    home: Path | None,
    max_bytes: int = 32_768,
    fallback_names: Sequence[str] = (),
    root_markers: Sequence[str] = (".git",),
) -> Instructions:
    """Read the files that apply to `cwd`.

    Args:
        cwd: the working directory; absolute.
        home: `$OCTAVO_HOME`, for the user's own file, which no budget limits.
        max_bytes: `project_doc_max_bytes`, for the project's files together; 0 reads none.
        fallback_names: `project_doc_fallback_filenames`, tried after octavo's names.
        root_markers: `project_root_markers`; the nearest ancestor with one is the project's root.
            Without one, the working directory is.
    """
    cwd = Path(os.path.realpath(cwd))
    warnings: list[str] = []
    own = _first((read_own(home / name, warnings) for name in NAMES) if home else ())
    found = [own] if own and own.text else []
    root = project_root(cwd, root_markers)
    left_bytes = max_bytes
    project: list[Document] = []
    for folder in _down(root, cwd) if max_bytes > 0 else ():
        names = (*NAMES, *fallback_names)
        document = _first(read_inside(root, folder / name, left_bytes, warnings) for name in names)
        if document is not None and document.text:
            left_bytes = 0 if document.cut else left_bytes - document.loaded_bytes
            project.append(document)
    return Instructions(
        own=own.text if own else "",
        project=tuple(document.text for document in project),
        sources=tuple(each.path for each in (*found, *project) if each.loaded_bytes),
        warnings=tuple(warnings),
    )


def _first(documents: Iterable[Document | None]) -> Document | None:
    """Return the first that exists; an empty one counts, so it can hide the next."""
    return next((document for document in documents if document is not None), None)


def project_root(cwd: Path, markers: Sequence[str] = (".git",)) -> Path:
    """Return the nearest ancestor of `cwd`, itself included, that holds a marker; else `cwd`.

    An empty directory is no marker: a sandbox that was killed may leave an empty `.git` behind,
    which git ignores too.
    """
    for folder in (cwd, *cwd.parents)[:MAX_DEPTH]:
        if any(_marks(folder / marker) for marker in markers):
            return folder
    return cwd


def _marks(path: Path) -> bool:
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return True
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


def _down(root: Path, cwd: Path) -> list[Path]:
    """Return the folders from `root` to `cwd`."""
    folders = [root]
    for name in cwd.relative_to(root).parts:
        folders.append(folders[-1] / name)
    return folders
