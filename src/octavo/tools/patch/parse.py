"""Reads a patch.

Lenient where the meaning is plain (padding, a heredoc or code fence around it, CRLF, empty lines
for empty context), and strict where it would have to guess. Raises nothing but `PatchError`.
"""

from __future__ import annotations

import re

from octavo.tools.patch import (
    AddFile,
    Chunk,
    DeleteFile,
    Patch,
    PatchError,
    Section,
    UpdateFile,
)
from octavo.tools.patch.words import BEGIN, END, SECTION_FORMS

_SECTION = re.compile(r"\*\*\* (Add|Delete|Update) File:(.*)")
_MOVE = re.compile(r"\*\*\* Move to:(.*)")
_ENVIRONMENT = "*** Environment ID:"
_END_OF_FILE = "*** End of File"
_HEREDOC = re.compile(r"(?:apply_?patch\s*)?<<\s*(['\"]?)(\w+)\1")
_FENCE = re.compile(r"```\w*")
_SHOWN_CHARS = 120


def parse(text: str) -> Patch:
    """Return the patch that `text` holds.

    Raises:
        PatchError: it is not a patch; names the line of `text`.
    """
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    first, last = _unwrap(lines)
    if first > last or lines[first].strip() != BEGIN:
        raise PatchError(
            f"The patch must start with the line `{BEGIN}` and end with `{END}`. {SECTION_FORMS}"
        )
    if lines[last].strip() != END or first == last:
        raise PatchError(_no_end(lines, first, last))
    _refuse_unwritable(lines)
    reader = _Reader(lines, first + 1, last)
    if reader.more() and reader.peek().strip().startswith(_ENVIRONMENT):
        reader.take()
    sections: list[Section] = []
    while reader.skip_blank():
        sections.append(_section(reader))
    if not sections:
        raise PatchError(f"The patch is empty: no file was changed. {SECTION_FORMS}")
    return Patch(tuple(sections))


class _Reader:
    """The lines between the markers, one after the other."""

    def __init__(self, lines: list[str], at: int, end: int) -> None:
        self._lines = lines
        self._end = end
        self.at = at

    @property
    def number(self) -> int:
        return self.at + 1

    def more(self) -> bool:
        return self.at < self._end

    def peek(self) -> str:
        return self._lines[self.at]

    def take(self) -> str:
        line = self._lines[self.at]
        self.at += 1
        return line

    def skip_blank(self) -> bool:
        while self.more() and not self.peek().strip():
            self.at += 1
        return self.more()


def _section(reader: _Reader) -> Section:
    number = reader.number
    line = reader.take().strip()
    match = _SECTION.fullmatch(line)
    if match is None:
        raise PatchError(f"Patch line {number}: {shown(line)} starts no section. {SECTION_FORMS}")
    path = _path(match[2], number)
    if match[1] == "Add":
        return AddFile(path, _added(reader, path), number)
    if match[1] == "Delete":
        return DeleteFile(path, number)
    move_to = None
    if reader.more() and (move := _MOVE.fullmatch(reader.peek().strip())):
        move_to = _path(move[1], reader.number)
        reader.take()
    chunks = _chunks(reader)
    if not chunks and move_to is None:
        raise PatchError(
            f"Patch line {number}: the update of {path} changes nothing. "
            "Give it lines that start with '-' or '+', or a `*** Move to:` line."
        )
    return UpdateFile(path, move_to, tuple(chunks), number)


def _path(text: str, number: int) -> str:
    path = text.strip()
    if not path or "\0" in path:
        raise PatchError(f"Patch line {number}: a path is missing after the colon.")
    return path


def _added(reader: _Reader, path: str) -> tuple[str, ...]:
    added: list[str] = []
    while reader.more() and reader.peek().startswith("+"):
        added.append(reader.take()[1:])
    number = reader.number
    if reader.skip_blank() and not reader.peek().strip().startswith("***"):
        raise PatchError(
            f"Patch line {number}: every line of the new file {path} must start with '+', "
            "an empty one too."
        )
    return tuple(added)


def _chunks(reader: _Reader) -> list[Chunk]:
    chunks: list[Chunk] = []
    while reader.skip_blank() and not _starts_section(reader.peek()):
        if chunks and not reader.peek().startswith("@@"):
            raise PatchError(
                f"Patch line {reader.number}: after `{_END_OF_FILE}` a new place in the file "
                "starts with an `@@` line."
            )
        chunks.append(_chunk(reader))
    return chunks


def _starts_section(line: str) -> bool:
    """True for a marker; padded with a space it would be a context line."""
    return line.lstrip("\t").startswith("***")


def _chunk(reader: _Reader) -> Chunk:
    headers: list[str] = []
    while reader.more() and reader.peek().startswith("@@"):
        header = reader.take()[2:]
        if header.strip():
            headers.append(header.removeprefix(" "))
    number = reader.number
    lines: list[str] = []
    at_end = False
    blanks = 0
    while reader.more():
        line = reader.peek()
        if line.rstrip() == _END_OF_FILE:
            at_end = True
            reader.take()
            break
        if line.startswith("@@") or _starts_section(line):
            break
        if not line:
            lines.append(" ")
            blanks += 1
        elif line[0] in " +-":
            lines.append(line)
            blanks = 0
        elif not line.startswith("\\ "):  # git's "\ No newline at end of file" says nothing new
            raise PatchError(
                f"Patch line {reader.number}: {shown(line)} must start with ' ' (a line to "
                "keep), '-' (to remove) or '+' (to add); a new place starts with an `@@` line."
            )
        reader.take()
    kept = lines[: len(lines) - blanks]
    if kept and all(line[0] == "+" for line in kept):
        lines = kept  # empty lines after added ones only set the patch out
    if not lines:
        raise PatchError(
            f"Patch line {number}: no line follows the `@@`. Write the lines to keep, remove and "
            "add here."
        )
    return Chunk(tuple(headers), tuple(lines), at_end, number)


def _unwrap(lines: list[str]) -> tuple[int, int]:
    """Return the first and last line that are not blank and not a wrapper's."""
    first, last = _trim(lines, 0, len(lines) - 1)
    if first < last:
        opening, closing = lines[first].strip(), lines[last].strip()
        heredoc = _HEREDOC.fullmatch(opening)
        if (heredoc and closing == heredoc[2]) or (_FENCE.fullmatch(opening) and closing == "```"):
            return _trim(lines, first + 1, last - 1)
    return first, last


def _trim(lines: list[str], first: int, last: int) -> tuple[int, int]:
    while first <= last and not lines[first].strip():
        first += 1
    while last >= first and not lines[last].strip():
        last -= 1
    return first, last


def _no_end(lines: list[str], first: int, last: int) -> str:
    for at in range(first + 1, last):
        if lines[at].rstrip() == END:
            number = next(n for n in range(at + 1, last + 1) if lines[n].strip()) + 1
            return (
                f"Patch line {number}: nothing may follow `{END}`. "
                "Put every section between one begin and one end line."
            )
    return f"The patch must end with the line `{END}`; it ends with {shown(lines[last])}."


def _refuse_unwritable(lines: list[str]) -> None:
    for number, line in enumerate(lines, 1):
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                raise PatchError(
                    f"Patch line {number} holds half of a surrogate pair, which no file can hold."
                ) from None


def shown(line: str) -> str:
    """Return `line` in quotes, short and printable."""
    cut = line if len(line) <= _SHOWN_CHARS else line[: _SHOWN_CHARS - 1] + "…"
    return '"' + "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in cut) + '"'
