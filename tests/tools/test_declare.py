"""What is declared to models: Codex's parameters in octavo's words, always the same bytes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from octavo.tools import Tool
from octavo.tools.builtin import TOOLS, builtin_tools
from octavo.tools.declare import choose, declarations

_TEXT, _NUMBER, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}


def _obj(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _many(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _given(**properties: Any) -> dict[str, Any]:
    return _obj([], **properties)


_CODEX = {
    "exec_command": _obj(
        ["cmd"],
        cmd=_TEXT,
        justification=_TEXT,
        login=_FLAG,
        max_output_tokens=_NUMBER,
        prefix_rule=_many(_TEXT),
        additional_permissions=_given(
            file_system=_given(read=_many(_TEXT), write=_many(_TEXT)),
            # Codex has no `hosts`: it asks for the whole network or none.
            network=_given(enabled=_FLAG, hosts=_many(_TEXT)),
        ),
        sandbox_permissions={
            "type": "string",
            "enum": ["use_default", "with_additional_permissions", "require_escalated"],
        },
        shell=_TEXT,
        tty=_FLAG,
        workdir=_TEXT,
        yield_time_ms=_NUMBER,
    ),
    "write_stdin": _obj(
        ["session_id"],
        chars=_TEXT,
        max_output_tokens=_NUMBER,
        session_id=_NUMBER,
        yield_time_ms=_NUMBER,
    ),
    "request_user_input": _obj(
        ["questions"],
        questions=_many(
            _obj(
                ["id", "header", "question", "options"],
                header=_TEXT,
                id=_TEXT,
                options=_many(
                    _obj(["label", "description"], description=_TEXT, label=_TEXT),
                ),
                question=_TEXT,
            )
        ),
    ),
    "view_image": _obj(["path"], path=_TEXT),
    "update_plan": _obj(
        ["plan"],
        explanation=_TEXT,
        plan=_many(
            _obj(
                ["step", "status"],
                status={"type": "string", "enum": ["pending", "in_progress", "completed"]},
                step=_TEXT,
            )
        ),
    ),
    "apply_patch": _obj(["input"], input=_TEXT),
}


def _bare(schema: Any) -> Any:
    """Leave out the descriptions."""
    if isinstance(schema, list):
        return [_bare(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    bare = {key: _bare(part) for key, part in schema.items() if key != "properties"}
    if isinstance(bare.get("description"), str):
        del bare["description"]
    if "properties" in schema:
        bare["properties"] = {name: _bare(part) for name, part in schema["properties"].items()}
    return bare


def _declared(*, freeform: bool) -> dict[str, Any]:
    declared = msgspec.json.decode(declarations(choose(TOOLS, freeform=freeform)))
    return {tool["name"]: tool for tool in declared}


def test_parameters_are_those_that_models_were_trained_on() -> None:
    declared = _declared(freeform=False)
    assert {name: _bare(tool["parameters"]) for name, tool in declared.items()} == _CODEX
    assert all(tool["strict"] is False for tool in declared.values())


def test_every_tool_and_parameter_is_described() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, part in schema.get("properties", {}).items():
            if not part.get("description"):
                found.append(f"{path}.{name}")
            found += undescribed(part.get("items", part), f"{path}.{name}")
        return found

    for name, tool in _declared(freeform=False).items():
        assert tool["description"]
        assert undescribed(tool["parameters"], name) == []


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.params], ids=lambda t: t.name)
def test_a_written_schema_says_what_its_struct_takes(tool: Tool) -> None:
    def derived(schema: Any, defs: Any) -> Any:
        if "$ref" in schema:
            return derived(defs[schema["$ref"].removeprefix("#/$defs/")], defs)
        if "anyOf" in schema:
            [schema] = [part for part in schema["anyOf"] if part != {"type": "null"}]
            return derived(schema, defs)
        plain = {k: v for k, v in schema.items() if k in ("type", "required", "items")}
        if "enum" in schema:
            plain |= {"type": "string", "enum": sorted(schema["enum"])}
        if "items" in plain:
            plain["items"] = derived(plain["items"], defs)
        if plain.get("type") == "object":
            parts = schema["properties"].items()
            plain["properties"] = {name: derived(part, defs) for name, part in parts}
            plain["additionalProperties"] = schema["additionalProperties"]
        return plain

    def written(schema: Any) -> Any:
        if isinstance(schema, dict):
            sorted_enum = {"enum": sorted(schema["enum"])} if "enum" in schema else {}
            return {key: written(part) for key, part in schema.items()} | sorted_enum
        return schema

    assert tool.params is not None
    whole = msgspec.json.schema(tool.params)
    bare = _bare(msgspec.json.decode(msgspec.json.encode(tool.schema)))
    assert written(bare) == derived(whole, whole["$defs"])


def test_a_model_that_takes_freeform_tools_gets_the_patch_tool_with_its_grammar() -> None:
    tool = _declared(freeform=True)["apply_patch"]
    assert tool["type"] == "custom"
    assert tool["format"]["type"] == "grammar"
    assert tool["format"]["syntax"] == "lark"
    assert "*** Begin Patch" in tool["format"]["definition"]


def test_search_is_the_providers_own() -> None:
    assert msgspec.json.decode(declarations([], web_search="live")) == [
        {"type": "web_search", "external_web_access": True}
    ]
    assert declarations([], web_search="cached") == (
        b'[{"type":"web_search","external_web_access":false}]'
    )
    assert declarations([]) == b"[]"


def test_the_plan_tool_can_be_turned_off() -> None:
    names = {tool.name for tool in TOOLS}
    assert {tool.name for tool in builtin_tools(update_plan=False)} == names - {"update_plan"}


def test_the_bytes_are_the_same_in_every_process() -> None:
    script = (
        "import sys; from octavo.tools.builtin import TOOLS\n"
        "from octavo.tools.declare import choose, declarations\n"
        "sys.stdout.buffer.write(declarations(choose(TOOLS, freeform=True)))"
    )
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert there == declarations(choose(TOOLS, freeform=True))
