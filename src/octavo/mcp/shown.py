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
        if before is not None and before.digest == tool.digest:
            continue
        mark = "" if not agreed else " (new)" if before is None else " (changed)"
        yield f"{visible_line(tool.tool)}{mark}: {_harmlessness(tool)}"
        if before is None:
            yield from (f"    {line}" for line in _said(tool))
        else:
            yield from (f"    {line}" for line in _difference(before, tool))
    now = {tool.tool for tool in server.tools}
    yield from (f"{visible_line(name)}: is gone" for name in agreed if name not in now)


def _harmlessness(tool: Remote) -> str:
    hints = tool.hints
    if hints.read_only_hint:
        reach = ", also elsewhere" if hints.open_world_hint and tool.said.get("annotations") else ""
        return f"only reads{reach}, it says; runs without a question"
    if not tool.said.get("annotations"):
        return "says nothing of what it may do; asked about"
    return f"{'may destroy' if hints.destructive_hint else 'changes things'}, it says; asked about"


def _said(tool: Remote) -> list[str]:
    lines = visible_command(tool.description).split("\n")
    more = [f"… ({len(lines) - DESCRIPTION_LINES} more lines)"] * (len(lines) > DESCRIPTION_LINES)
    takes = visible_command(msgspec.json.encode(tool.schema.get("properties", {})).decode())
    return [*lines[:DESCRIPTION_LINES], *more, f"takes {takes}"]


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
