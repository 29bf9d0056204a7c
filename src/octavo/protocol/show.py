"""Model items and events as people see them: the plain functions behind `project`.

Each takes one thing apart and none keeps anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol.inputs import ImageUrl, LocalImage, Text, UserInput

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
