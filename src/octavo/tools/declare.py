"""Tool declarations as the Responses API wants them.

The bytes are the same for the same tools in every process: they begin every request, and the
provider's prompt cache lives from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from octavo.tools import Tool
from octavo.tools.schema import obj

WebSearch = Literal["live", "cached", "disabled"]


def declarations(tools: Sequence[Tool], *, web_search: WebSearch = "disabled") -> bytes:
    """Return the JSON array that declares `tools`, as `choose` gave them.

    Args:
        web_search: the provider's own search, over the live web or its cache.
    """
    declared = [_declare(tool) for tool in tools]
    if web_search != "disabled":
        declared.append({"type": "web_search", "external_web_access": web_search == "live"})
    return msgspec.json.encode(declared)


def choose(tools: Iterable[Tool], *, freeform: bool) -> list[Tool]:
    """Return the tools a model is offered: each name once, freeform ones only if it takes them."""
    chosen: dict[str, Tool] = {}
    for tool in tools:
        if tool.grammar is not None and not freeform:
            continue
        if tool.name not in chosen or tool.grammar is not None:
            chosen[tool.name] = tool
    return list(chosen.values())


def _declare(tool: Tool) -> dict[str, Any]:
    if tool.grammar is not None:
        grammar = {"type": "grammar", "syntax": "lark", "definition": tool.grammar}
        return {
            "type": "custom",
            "name": tool.name,
            "description": tool.description,
            "format": grammar,
        }
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "strict": False,
        "parameters": tool.schema or obj({}),
    }
