"""A tool of a server as octavo has it: its words bounded, its name one that a model can say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from octavo.protocol.visible import visible

NAME_CHARACTERS = 64
"""The most that providers take for a tool's name."""
DESCRIPTION_CHARACTERS = 4_000
SCHEMA_BYTES = 32 << 10
"""A tool with a larger schema is declared as one that takes any object."""
_KEPT = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What a server says of a tool that counts; a change of anything else is none."""
OPEN = {"type": "object"}


class Hints(msgspec.Struct, frozen=True, rename="camel"):
    """What a server says of a tool's harmlessness; the defaults are those of MCP."""

    read_only_hint: bool = False
    destructive_hint: bool = True
    open_world_hint: bool = True


class Remote(msgspec.Struct, frozen=True):
    """One tool of one server.

    Attributes:
        server, tool: its real names.
        name: what the model calls it.
        said: what the server says of it, as it is pinned.
        digest: of that.
    """

    server: str
    tool: str
    name: str
    said: Mapping[str, Any]
    digest: str

    @property
    def description(self) -> str:
        """Its description, with nothing invisible in it."""
        text = str(self.said.get("description") or self.said.get("title") or self.tool)
        return visible(text)[:DESCRIPTION_CHARACTERS]

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of its parameters, as it is declared to a model."""
        schema = self.said.get("inputSchema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            return OPEN
        if len(msgspec.json.encode(schema)) > SCHEMA_BYTES:
            return OPEN
        kept = {key: _visible(part) for key, part in schema.items() if key != "$schema"}
        return kept if isinstance(kept.get("properties"), dict) else {**kept, "properties": {}}

    @property
    def hints(self) -> Hints:
        """What its server says of its harmlessness; nothing, where that makes no sense."""
        try:
            return msgspec.convert(self.said.get("annotations") or {}, Hints)
        except msgspec.ValidationError:
            return Hints()


def remotes(server: str, listed: Iterable[Mapping[str, Any]]) -> list[Remote]:
    """Return a server's tools, each name of its own; what is no tool is left out."""
    found: dict[str, Remote] = {}
    for raw in listed:
        tool = raw.get("name")
        if not isinstance(tool, str) or not tool or any(r.tool == tool for r in found.values()):
            continue
        name = called(server, tool)
        while name in found:
            name = told_apart(name, f"{name}\0{tool}")
        said = {key: raw[key] for key in _KEPT if raw.get(key) is not None}
        found[name] = Remote(server, tool, name, said, digest_of(said))
    return list(found.values())


def _visible(part: Any) -> Any:
    """Return a part of a schema with nothing invisible in its texts."""
    match part:
        case str():
            return visible(part)
        case list():
            return [_visible(one) for one in part]
        case dict():
            return {visible(key): _visible(one) for key, one in part.items()}
        case _:
            return part


def called(server: str, tool: str) -> str:
    """Return `mcp__server__tool` in the characters and the length that providers take."""
    name = f"mcp__{_plain(server)}__{_plain(tool)}"
    return name if len(name) <= NAME_CHARACTERS else told_apart(name, f"{server}\0{tool}")


def digest_of(said: Mapping[str, Any]) -> str:
    """Return the hash that what a server says of a tool is pinned by."""
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", name)


def told_apart(name: str, real: str) -> str:
    """Return another name for what `real` stands for, where `name` is taken or too long."""
    mark = hashlib.sha256(real.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{name[: NAME_CHARACTERS - 9]}_{mark}"
