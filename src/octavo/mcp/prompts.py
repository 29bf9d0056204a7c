"""Prompts of a server, made into bounded text: a person asks for them, and a stranger wrote them.

No model is told of them by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from octavo.mcp.connection import ServerFailed
from octavo.mcp.results import part_text
from octavo.mcp.servers import Server, Servers
from octavo.protocol.mcp_prompts import (
    McpPrompt,
    McpPromptArgument,
    McpPromptGetResult,
    McpPromptsListResult,
)
from octavo.protocol.visible import visible

TEXT_CHARACTERS = 100_000
"""Of one prompt; some 25,000 tokens."""
DESCRIPTION_CHARACTERS = 2_000
NAME_CHARACTERS = 256
ARGUMENTS = 50


async def listed(servers: Servers, server: Server) -> McpPromptsListResult:
    """Return the prompts of a server; none, where it has no prompts at all.

    Raises:
        ServerFailed: it could not be asked.
    """
    connection = await servers.connection(server)
    if "prompts" not in connection.said.capabilities:
        return McpPromptsListResult(())
    found = await connection.list("prompts", server.spec.tool_timeout_s)
    prompts = tuple(prompt for raw in found.found if (prompt := prompt_of(raw)) is not None)
    return McpPromptsListResult(prompts, found.left_out)


async def filled_in(
    servers: Servers, server: Server, name: str, arguments: dict[str, str]
) -> McpPromptGetResult:
    """Return a prompt as text.

    Raises:
        ServerFailed: the server did not give it; says why.
    """
    connection = await servers.connection(server)
    if "prompts" not in connection.said.capabilities:
        raise ServerFailed(f"MCP server {server.name} has no prompts.")
    given = await connection.prompt(name, arguments, server.spec.tool_timeout_s)
    return as_text(given.messages, given.description or "")


def prompt_of(raw: Mapping[str, Any]) -> McpPrompt | None:
    """Return a prompt as a server lists it; None for what cannot be asked for by its name."""
    name = _name(raw)
    if name is None:
        return None
    given = raw.get("arguments")
    arguments = [
        McpPromptArgument(argument, _said(one, "description"), one.get("required") is True)
        for one in (given if isinstance(given, list) else ())[:ARGUMENTS]
        if isinstance(one, dict) and (argument := _name(one)) is not None
    ]
    return McpPrompt(name, _said(raw, "title"), _said(raw, "description"), tuple(arguments))


def as_text(messages: Sequence[Mapping[str, Any]], description: str) -> McpPromptGetResult:
    """Return a prompt's messages as one text.

    Who says what is written before each message where not all are the user's, so that words put
    into an assistant's mouth are not taken for the user's.
    """
    images: list[str] = []
    told = [(str(one.get("role")), _content(one.get("content"), images)) for one in messages]
    if any(role != "user" for role, _ in told):
        parts = [f"[{role}]\n{text}" for role, text in told]
    else:
        parts = [text for _, text in told]
    whole = "\n\n".join(parts)
    left_out = max(0, len(whole) - TEXT_CHARACTERS)
    text = visible(whole[:TEXT_CHARACTERS])
    if left_out:
        text = f"{text}\n[{left_out:,} more characters were left out]"
    said = visible(description[:DESCRIPTION_CHARACTERS])
    return McpPromptGetResult(text, said, tuple(images), left_out)


def _content(content: Any, images: list[str]) -> str:
    part = content if isinstance(content, dict) else {}
    text = part_text(part, images)
    return text if text or part.get("type") != "image" else f"[image {len(images)}]"


def _name(raw: Mapping[str, Any]) -> str | None:
    name = raw.get("name")
    return name if isinstance(name, str) and 0 < len(name) <= NAME_CHARACTERS else None


def _said(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return visible(value[:DESCRIPTION_CHARACTERS]) if isinstance(value, str) else ""
