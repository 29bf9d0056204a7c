"""Tool declarations as the Responses API wants them.

The bytes are the same for the same tools in every process: they begin every request, and the
provider's prompt cache lives from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from octavo.tools import Tool

WebSearch = Literal["live", "cached", "disabled"]

_LEFT_OUT = frozenset(("$ref", "$defs", "anyOf", "title", "default"))


def declarations(
    tools: Sequence[Tool], *, freeform: bool, web_search: WebSearch = "disabled"
) -> bytes:
    """Return the JSON array that declares `tools`.

    Args:
        freeform: the model takes freeform tools; where a tool comes in both forms, this decides.
        web_search: the provider's own search, over the live web or its cache.
    """
    declared = [_declare(tool) for tool in choose(tools, freeform=freeform)]
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


def parameters(tool: Tool) -> Mapping[str, Any]:
    """Return the JSON Schema of a function tool's parameters."""
    if tool.schema is not None:
        return tool.schema
    if tool.params is None:
        return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    whole = msgspec.json.schema(tool.params)
    return _flatten(whole, whole.get("$defs", {}))


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
        "parameters": parameters(tool),
    }


def _flatten(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Put definitions where they are used; leave out titles, defaults and "or null"."""
    flat = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
    if "$ref" in schema:
        inner = _flatten(defs[schema["$ref"].removeprefix("#/$defs/")], defs)
        inner.pop("description", None)  # the struct's docstring, which is for us
        return inner | flat
    if "anyOf" in schema:
        [only] = [part for part in schema["anyOf"] if part != {"type": "null"}]
        flat = _flatten(only, defs) | flat
    if "properties" in flat:
        parts = flat["properties"].items()
        flat["properties"] = {name: _flatten(part, defs) for name, part in parts}
    if "items" in flat:
        flat["items"] = _flatten(flat["items"], defs)
    if "enum" in flat:
        flat["type"] = "string"
    return flat
