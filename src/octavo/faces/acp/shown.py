"""Items of a thread as the editor shows them: tool calls with their kind, content and places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from acp import schema as acp
from acp.helpers import image_block, text_block, tool_content, tool_diff_content

from octavo.protocol import items as it
from octavo.protocol.visible import visible, visible_command

Content = acp.ContentToolCallContent | acp.FileEditToolCallContent | acp.TerminalToolCallContent
Status = Literal["pending", "in_progress", "completed", "failed"]
Kind = Literal["read", "edit", "delete", "move", "search", "execute", "think", "fetch", "other"]

_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_NOT_SHOWN = (it.UserMessage, it.AgentMessage, it.Reasoning)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call, whole."""

    id: str
    title: str
    kind: Kind
    status: Status
    content: list[Content] = []
    places: list[acp.ToolCallLocation] = []
    raw_input: Any = None
    raw_output: Any = None

    def with_error(self, error: it.McpError | None) -> Shown:
        """Return it with why there is no result."""
        if error is None:
            return self
        return msgspec.structs.replace(self, content=text_content(error.message))


def shown(item: it.ThreadItem) -> Shown | None:
    """Return `item` as a tool call; None for what somebody said or thought."""
    match item:
        case it.CommandExecution():
            return Shown(
                id=item.id,
                title=command_title(item.command),
                kind="execute",
                status=_command_status(item),
                content=text_content(item.aggregated_output),
                raw_input={"command": item.command, "cwd": item.cwd},
                raw_output=None
                if item.status == "inProgress"
                else {"exit_code": item.exit_code, "output": item.aggregated_output or ""},
            )
        case it.FileChange():
            return Shown(
                id=item.id,
                title=_change_title(item),
                kind="delete" if _all(item, "delete") else "edit",
                status=_status(item.status),
                content=[one for change in item.changes for one in diffs(change)],
                places=[place for change in item.changes for place in _places(change)],
            )
        case it.McpToolCall():
            return Shown(
                id=item.id,
                title=visible_command(f"{item.server} {item.tool}"),
                kind="other",
                status=_status(item.status),
                content=[] if item.result is None else _parts(item.result.content),
                raw_input=item.arguments,
                raw_output=None if item.error is None else {"error": item.error.message},
            ).with_error(item.error)
        case it.WebSearch():
            return Shown(id=item.id, title=item.query, kind="search", status="completed")
        case it.ImageView():
            where = [acp.ToolCallLocation(path=item.path)]
            title = f"Look at {visible_command(item.path)}"
            return Shown(id=item.id, title=title, kind="read", status="completed", places=where)
        case it.ContextCompaction():
            done = item.completed_at_ms is not None
            status: Status = "completed" if done else "in_progress"
            return Shown(id=item.id, title="Sum the thread up", kind="think", status=status)
        case _ if isinstance(item, _NOT_SHOWN):
            return None
        case _:
            return _other(item)


def _other(item: Any) -> Shown:
    """A call of a tool that has no item of its own here."""
    words = (getattr(item, "server", None), getattr(item, "namespace", None), item_tool(item))
    texts = [part.get("text", "") for part in getattr(item, "content_items", None) or ()]
    return Shown(
        id=item.id,
        title=visible_command(" ".join(word for word in words if word)),
        kind="other",
        status=_status(getattr(item, "status", "completed")),
        content=text_content("".join(texts)),
        raw_input=getattr(item, "arguments", None),
    )


def item_tool(item: Any) -> str:
    """The name of the tool that an item is a call of."""
    return str(getattr(item, "tool", None) or type(item).__struct_config__.tag)


def command_title(command: str) -> str:
    """A command as a title: every character to be seen, on one line."""
    return visible_command(command).replace("\n", "⏎")


def text_content(text: str | None) -> list[Content]:
    """`text` as the output of a tool; nothing where there is none."""
    return [tool_content(text_block(visible(text)))] if text else []


def _parts(content: tuple[dict[str, Any], ...]) -> list[Content]:
    """What a server's tool gave: text and images as they are, of the rest the kind."""
    found: list[Content] = []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                found += text_content(text)
            case {"type": "image", "data": str(data), "mimeType": str(kind)}:
                found.append(tool_content(image_block(data, kind)))
            case _:
                found += text_content(f"({part.get('type', 'something')})")
    return found


def diffs(change: it.FileUpdateChange) -> Iterator[acp.FileEditToolCallContent]:
    """One content a hunk of the change, as the lines before and after it.

    The path is the one that the file has afterwards.
    """
    path = _path(change)
    added = change.kind.type_ == "add"
    hunks = list(_hunks(change.diff))
    for _, old, new in hunks:
        yield tool_diff_content(path, new, None if added else old)
    if not hunks:
        yield tool_diff_content(path, "", None if added else "")


def _places(change: it.FileUpdateChange) -> list[acp.ToolCallLocation]:
    lines = [line for line, _, _ in _hunks(change.diff)][:1]
    line = lines[0] if lines and change.kind.type_ == "update" else None
    return [acp.ToolCallLocation(path=_path(change), line=line)]


def _hunks(diff: str) -> Iterator[tuple[int, str, str]]:
    """Each hunk of a unified diff: its first line in the new file, and its text before and
    after."""
    start: int | None = None
    old: list[str] = []
    new: list[str] = []
    last = ""
    for line in diff.splitlines(keepends=True):
        if found := _HUNK.match(line):
            if start is not None:
                yield start, "".join(old), "".join(new)
            start, old, new = int(found[1]), [], []
        elif start is None:
            continue
        elif line.startswith("\\ No newline"):
            for side in (old, new):
                if side and last[:1] in (" ", "-" if side is old else "+"):
                    side[-1] = side[-1].removesuffix("\n")
        elif line[:1] in (" ", "-", "+"):
            if line[0] != "+":
                old.append(line[1:])
            if line[0] != "-":
                new.append(line[1:])
        last = line
    if start is not None:
        yield start, "".join(old), "".join(new)


def _path(change: it.FileUpdateChange) -> str:
    return change.kind.move_path or change.path


def _all(item: it.FileChange, kind: str) -> bool:
    return all(change.kind.type_ == kind for change in item.changes)


def _change_title(item: it.FileChange) -> str:
    verb = "Delete" if _all(item, "delete") else "Create" if _all(item, "add") else "Edit"
    return f"{verb} {', '.join(visible_command(_path(change)) for change in item.changes)}"


def _command_status(item: it.CommandExecution) -> Status:
    if item.status == "completed":
        return "failed" if item.exit_code else "completed"
    return _status(item.status)


def _status(word: str) -> Status:
    match word:
        case "inProgress":
            return "in_progress"
        case "completed":
            return "completed"
        case _:
            return "failed"
