"""Configured servers for tests, and what a person has agreed to of them."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from octavo.config.settings import McpServer
from octavo.mcp.pins import FILE

PROGRAM = Path(__file__).with_name("acting.py")
READS = {"readOnlyHint": True, "openWorldHint": False}


def tool(name: str, description: str = "", **more: Any) -> dict[str, Any]:
    """A tool as a server lists it; it only reads unless `annotations` says otherwise."""
    return {
        "name": name,
        "description": description or f"Does {name}.",
        "inputSchema": {"type": "object", "properties": {}},
        "annotations": READS,
        **more,
    }


def changes(name: str, **more: Any) -> dict[str, Any]:
    """A tool that says it may destroy something."""
    return tool(name, annotations={"destructiveHint": True, "openWorldHint": False}, **more)


def config(name: str, *tools: dict[str, Any] | str, more: str = "", **plan: Any) -> str:
    """A `-c` argument: a server of this plan. A tool that is only named is one that reads."""
    listed = [tool(one) if isinstance(one, str) else one for one in tools]
    said = json.dumps({"tools": listed, **plan})
    argument = Path.home() / f"plan-{hashlib.sha256(said.encode()).hexdigest()[:16]}.json"
    argument.write_text(said)
    extra = f",{more}" if more else ""
    return (
        f"mcp_servers.{name}={{command={json.dumps(sys.executable)},"
        f"args=[{json.dumps(str(PROGRAM))},{json.dumps(str(argument))}]{extra}}}"
    )


def pins(home: Path) -> dict[str, Any]:
    """What is pinned, by server."""
    found: dict[str, Any] = msgspec.json.decode((home / FILE).read_bytes())["servers"]
    return found


def agree(home: Path, *servers: str) -> None:
    """Let a person have agreed to what these servers said when they were seen last."""
    kept = pins(home)
    for name in servers:
        kept[name]["agreed"] = True
    (home / FILE).write_bytes(msgspec.json.encode({"servers": kept}))


def server(**fields: Any) -> McpServer:
    """A server's settings."""
    return msgspec.convert(fields, McpServer)


def names(request: Mapping[str, Any]) -> list[str]:
    """The names of the tools that a request declares."""
    return [one["name"] for one in request["tools"] if "name" in one]
