"""Model items and events as people see them: the plain functions behind `project`.

Each takes one thing apart and none keeps anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol.inputs import ImageUrl, LocalImage, Text, UserInput

CALL_TOOL = "call_tool"
"""The tool that calls tools which `tool_search` found."""
OUTPUT_MARK = "\nOutput:\n"
"""What precedes a command's output in what the model is told; see `tools.builtin.exec_command`."""


class Part(msgspec.Struct):
    type: str = ""
    text: str = ""
    image_url: str = ""
    path: str = ""


class ModelItem(msgspec.Struct):
    """The fields of a model item that a face shows."""

    content: list[Part] | None = None
    summary: list[Part] | None = None
    phase: str | None = None
    arguments: str = ""
    input: str = ""
    output: str | list[Part] = ""
    action: dict[str, Any] | None = None


decode_item = msgspec.json.Decoder(ModelItem).decode


def text_of(parts: list[Part] | None) -> str:
    """The text of content parts, joined."""
    return "".join(part.text for part in parts or ())


def user_inputs(raw: bytes) -> tuple[UserInput, ...]:
    """What the user put in, read back from the model item it became."""
    parts = decode_item(raw).content or []
    inputs: list[UserInput] = []
    path: str | None = None
    for part in parts:
        if part.type == "input_image":
            inputs.append(LocalImage(path) if path is not None else ImageUrl(part.image_url))
            path = None
        elif part.text.startswith("<image name=") and ' path="' in part.text:
            path = part.text.split(' path="', 1)[1].rsplit('"', 1)[0]
        elif part.text != "</image>":
            inputs.append(Text(part.text))
    return tuple(inputs)


def output_shown(text: str) -> str:
    """A command's output out of what the model was told about it."""
    _, mark, output = text.partition(OUTPUT_MARK)
    return output if mark else text


def change_of(edit: ev.FileEdit) -> it.FileUpdateChange:
    """One file of an edit, as the wire shows it."""
    move: str | None | msgspec.UnsetType = msgspec.UNSET
    if edit.kind == "update":
        move = edit.move_path
    return it.FileUpdateChange(edit.path, it.Kind(edit.kind, move), edit.diff)


def file_diff(change: it.FileUpdateChange) -> str:
    """The change as a part of a unified diff, file headers included."""
    old = "/dev/null" if change.kind.type_ == "add" else f"a{change.path}"
    new = "/dev/null" if change.kind.type_ == "delete" else f"b{change.path}"
    if change.kind.move_path:
        new = f"b{change.kind.move_path}"
    end = "" if change.diff.endswith("\n") or not change.diff else "\n"
    return f"--- {old}\n+++ {new}\n{change.diff}{end}"


def mcp_call(event: ev.CallStarted, name: str, arguments: str) -> it.McpToolCall:
    """A call of a server's tool that begins; one by way of `call_tool` has its arguments inside."""
    assert isinstance(event.intent, ev.ToolIntent)
    try:
        given = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, UnicodeEncodeError):
        given = {}
    if name == CALL_TOOL and isinstance(given, dict):
        given = given.get("arguments", {})
    return it.McpToolCall(
        id=event.call_id,
        server=event.intent.server,
        tool=event.intent.tool,
        arguments=given,
        status="inProgress",
        read_only_hint=event.intent.reads or None,
        started_at_ms=event.at_ms,
    )


def mcp_ended(item: it.McpToolCall, event: ev.CallEnded, text: str) -> it.McpToolCall:
    """The same when it is over. A tool that says it failed has a result all the same."""
    took_ms = None if event.facts is None else event.facts.duration_ms
    has_result = took_ms is not None
    shown = ({"type": "text", "text": output_shown(text)},)
    return msgspec.structs.replace(
        item,
        status="completed" if event.ok else "failed",
        result=it.McpResult(shown) if has_result else None,
        error=None if has_result else it.McpError(text),
        duration_ms=took_ms,
        completed_at_ms=event.at_ms,
    )


def mcp_refused(event: ev.CallEnded, name: str, arguments: Any, text: str) -> it.McpToolCall:
    """A call of a server's tool that never began. The names are those the model knows it by."""
    server, _, tool = name.removeprefix("mcp__").partition("__")
    return it.McpToolCall(
        id=event.call_id,
        server=server,
        tool=tool,
        arguments=arguments,
        status="failed",
        error=it.McpError(text),
    )


def search_action(action: dict[str, Any]) -> dict[str, Any]:
    """What a hosted search did, in the wire's words."""
    match action.get("type"):
        case "search":
            return {"type": "search", "query": action.get("query"), "queries": None}
        case "open_page":
            return {"type": "openPage", "url": action.get("url")}
        case "find_in_page" | "find":
            url, pattern = action.get("url"), action.get("pattern")
            return {"type": "findInPage", "url": url, "pattern": pattern}
        case _:
            return {"type": "other"}


def plan_word(status: str) -> Any:
    """The wire's word for the status of a step."""
    return "inProgress" if status == "in_progress" else status


_WITH_STATUS = (
    "httpConnectionFailed",
    "responseStreamConnectionFailed",
    "responseStreamDisconnected",
    "responseTooManyFailedAttempts",
)


def error_info(info: str | None, status: int | None) -> Any:
    """`codexErrorInfo`: a word, or for connection failures an object with the HTTP status."""
    if info in _WITH_STATUS:
        return {info: {"httpStatusCode": status}}
    return info
