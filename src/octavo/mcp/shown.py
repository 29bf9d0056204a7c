"""A server's tools as a person is shown them, before they agree."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from octavo.mcp.remote import Remote
from octavo.mcp.servers import Server
from octavo.protocol.visible import visible_command, visible_line

DESCRIPTION_LINES = 40


def shown_lines(server: Server, instructions: str | None) -> Iterator[str]:
    """Yield what a server says of its tools; of what was agreed to before, only what changed.

    Args:
        instructions: what it says of itself, which the model is told.
    """
    agreed = server.agreed
    before_said = server.pin.instructions if server.pin is not None and server.pin.agreed else None
    if instructions != before_said:
        yield "of itself:"
        for line in visible_command(instructions or "(nothing any more)").split("\n"):
            yield f"    {line}"
    for tool in server.tools:
        before = agreed.get(tool.tool)
        if before is None or before.digest != tool.digest:
            yield from tool_lines(server, tool)
    now = {tool.tool for tool in server.tools}
    yield from (f"{visible_line(name)}: is gone" for name in agreed if name not in now)


def tool_lines(server: Server, tool: Remote, *, whole: bool = False) -> Iterator[str]:
    """Yield what a server says of a tool; of one that was agreed to before, what changed."""
    before = server.agreed.get(tool.tool)
    if before is not None and before.digest == tool.digest:
        before = None
    mark = "" if not server.agreed else " (changed)" if before is not None else " (new)"
    mark = "" if tool.tool in server.agreed and before is None else mark
    yield f"{visible_line(tool.tool)}{mark}: {_harmlessness(tool)}"
    lines = _said(tool, whole=whole) if before is None else _difference(before, tool)
    yield from (f"    {line}" for line in lines)


def _harmlessness(tool: Remote) -> str:
    hints = tool.hints
    if hints.read_only_hint:
        reach = ", also elsewhere" if hints.open_world_hint and tool.said.get("annotations") else ""
        return f"only reads{reach}, it says; runs without a question"
    if not tool.said.get("annotations"):
        return "says nothing of what it may do; asked about"
    return f"{'may destroy' if hints.destructive_hint else 'changes things'}, it says; asked about"


def _said(tool: Remote, *, whole: bool) -> list[str]:
    lines = visible_command(tool.description).split("\n")
    shown = len(lines) if whole else DESCRIPTION_LINES
    more = [f"… ({len(lines) - shown} more lines)"] * (len(lines) > shown)
    plain = set(tool.schema) <= {"type", "properties", "required", "additionalProperties", "title"}
    schema = tool.schema.get("properties", {}) if plain else tool.schema
    takes = visible_command(msgspec.json.encode(schema).decode())
    return [*lines[:shown], *more, f"takes {takes}"]


def _difference(before: Remote, now: Remote) -> list[str]:
    import difflib

    was, is_ = (
        msgspec.json.format(msgspec.json.encode(one.said, order="sorted"), indent=1)
        .decode()
        .split("\n")
        for one in (before, now)
    )
    return [
        visible_command(line)
        for line in difflib.unified_diff(was, is_, lineterm="", n=1)
        if not line.startswith(("---", "+++", "@@"))
    ]
