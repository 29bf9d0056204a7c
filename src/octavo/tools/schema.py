"""JSON Schemas of parameters, written down.

They could be derived from the parameter structs, but not for nothing: every start would pay
milliseconds for a text that never changes. A test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def obj(
    properties: Mapping[str, Schema], *, required: tuple[str, ...] = (), description: str = ""
) -> Schema:
    """An object with these members and no others."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return schema | {"description": description} if description else schema


def text(description: str) -> Schema:
    """A string."""
    return {"type": "string", "description": description}


def one_of(*values: str, description: str) -> Schema:
    """One of these strings."""
    return {"type": "string", "enum": values, "description": description}


def number(description: str) -> Schema:
    """A number."""
    return {"type": "number", "description": description}


def flag(description: str) -> Schema:
    """A boolean."""
    return {"type": "boolean", "description": description}


def many(items: Schema, description: str) -> Schema:
    """An array."""
    return {"type": "array", "items": items, "description": description}
