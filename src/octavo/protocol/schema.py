"""The whole protocol as JSON Schema and as TypeScript, made from the types that octavo uses.

Nothing is described twice: what is written here is what is decoded and encoded. Fields that a
client may leave out are optional; those of what the server sends are there unless they say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import msgspec.inspect as look

from octavo.protocol import (
    commands,
    files,
    gc,
    goals,
    history,
    mcp,
    mcp_prompts,
    methods,
    providers,
    sessions,
    settings,
    skills,
)
from octavo.protocol.methods import Method
from octavo.protocol.notifications import BY_METHOD
from octavo.protocol.requests import REQUESTS

JSON_FILE = "octavo.schema.json"
TYPESCRIPT_FILE = "octavo.ts"
_MAY_LACK = msgspec.UNSET
"""The default of a field that is left out rather than sent as null."""
_MODULES = (
    commands,
    files,
    gc,
    goals,
    history,
    mcp,
    mcp_prompts,
    methods,
    providers,
    sessions,
    settings,
    skills,
)
"""Where methods are declared."""
_REF = "#/$defs/{name}"


def client_requests() -> dict[str, Method[Any, Any]]:
    """Return every method a client may call, by name."""
    found = (value for module in _MODULES for value in vars(module).values())
    named = {method.name: method for method in found if isinstance(method, Method)}
    return dict(sorted(named.items()))


def document() -> dict[str, Any]:
    """Return the JSON Schema of everything that is said, with what is said when."""
    calls, asked = client_requests(), {method.name: method for method in REQUESTS}
    said = dict(sorted(BY_METHOD.items()))
    taken = [m.params for m in calls.values()] + [m.result for m in asked.values()]
    given = [*said.values(), *(m.result for m in calls.values()), *(m.params for m in REQUESTS)]
    _, parts = msgspec.json.schema_components([*taken, *given], ref_template=_REF)
    both = _structs(taken)
    _complete(parts, (kind for name, kind in _structs(given).items() if name not in both))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "octavo app-server",
        "clientRequests": {name: _call(method) for name, method in calls.items()},
        "serverRequests": {name: _call(method) for name, method in asked.items()},
        "serverNotifications": {name: _reference(kind) for name, kind in said.items()},
        "clientNotifications": {methods.INITIALIZED: {}},
        "$defs": dict(sorted(parts.items())),
    }


def json_schema() -> str:
    """Return `document` as text."""
    encoded = msgspec.json.encode(document())
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def typescript() -> str:
    """Return the same as TypeScript: a type each, and a map from every method to its types."""
    whole = document()
    lines = ["// Written by `octavo app-server schema`; do not edit."]
    for name, schema in whole["$defs"].items():
        lines += _comment(schema.get("description"))
        lines.append(f"export type {name} = {_typed(schema)};")
    for title, calls in (
        ("ClientRequests", whole["clientRequests"]),
        ("ServerRequests", whole["serverRequests"]),
    ):
        lines.append(f"export interface {title} {{")
        for name, call in calls.items():
            params, result = _typed(call["params"]), _typed(call["result"])
            lines.append(f'  "{name}": {{ params: {params}; result: {result} }};')
        lines.append("}")
    lines.append("export interface ServerNotifications {")
    lines += (f'  "{n}": {_typed(schema)};' for n, schema in whole["serverNotifications"].items())
    return "\n".join([*lines, "}", ""])


def _call(method: Method[Any, Any]) -> dict[str, Any]:
    return {"params": _reference(method.params), "result": _reference(method.result)}


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _structs(kinds: Iterable[type]) -> dict[str, look.StructType]:
    """Return all the structs that `kinds` are made of, by name."""
    found: dict[str, look.StructType] = {}
    todo: list[Any] = list(look.multi_type_info(kinds))
    while todo:
        kind = todo.pop()
        if isinstance(kind, look.StructType):
            name = kind.cls.__name__
            if name in found:
                if found[name].cls is not kind.cls:
                    raise TypeError(f"two types of the protocol are called {name}")
                continue
            found[name] = kind
        todo += _inner(kind)
    return found


def _inner(kind: Any) -> Iterator[Any]:
    """Yield what a type mentions."""
    match kind:
        case look.StructType():
            yield from (field.type for field in kind.fields)
        case look.UnionType():
            yield from kind.types
        case look.DictType():
            yield kind.value_type
        case look.VarTupleType() | look.ListType():
            yield kind.item_type
        case _:
            return


def _complete(parts: dict[str, Any], sent: Iterable[look.StructType]) -> None:
    """Say of what only the server sends that all of it is there."""
    for kind in sent:
        if kind.cls.__struct_config__.omit_defaults:
            continue
        parts[kind.cls.__name__]["required"] = [
            *([] if kind.tag_field is None else [kind.tag_field]),
            *(
                f.encode_name
                for f in msgspec.structs.fields(kind.cls)
                if f.default is not _MAY_LACK
            ),
        ]


def _typed(schema: dict[str, Any]) -> str:
    """Return a JSON Schema, of those msgspec writes, as a type of TypeScript."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_typed(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(word).decode() for word in schema["enum"])
    if "const" in schema:
        return msgspec.json.encode(schema["const"]).decode()
    match schema.get("type"):
        case "string" | "boolean" | "null" as word:
            return str(word)
        case "integer" | "number":
            return "number"
        case "array":
            return f"Array<{_typed(schema.get('items', {}))}>"
        case "object" if "properties" in schema:
            return _object(schema)
        case "object":
            inner = schema.get("additionalProperties", {})
            return f"Record<string, {_typed(inner) if isinstance(inner, dict) else 'unknown'}>"
        case _:
            return "unknown"


def _object(schema: dict[str, Any]) -> str:
    needed = schema.get("required", ())
    fields = (
        f"  {name}{'' if name in needed else '?'}: {_typed(field)};"
        for name, field in schema["properties"].items()
    )
    return "\n".join(["{", *fields, "}"])


def _comment(text: str | None) -> list[str]:
    if not text:
        return []
    words = " ".join(text.split()).replace("*/", "* /")
    return [f"/** {words} */"]
