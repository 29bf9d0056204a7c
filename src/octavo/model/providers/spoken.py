"""Model items in the words that Chat Completions and the Messages API have in common.

The history is made of items of the Responses API. Here one becomes something said, thought, asked
for or answered. What neither of the two can say (a hosted search, an encrypted compaction) is
nothing here. Pure.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.model.providers.marks import Mark

ABSENT_OUTPUT = "No output of this call is known."
GO_ON = "Go on."


class Text(msgspec.Struct, frozen=True):
    """A piece of text."""

    text: str


class Image(msgspec.Struct, frozen=True):
    """A picture: a data URL, or the address of one."""

    url: str


Part = Text | Image


class Said(msgspec.Struct, frozen=True):
    """A message."""

    role: Literal["developer", "user", "assistant"]
    parts: tuple[Part, ...]


class Thought(msgspec.Struct, frozen=True):
    """Reasoning."""

    text: str
    mark: Mark


class Asked(msgspec.Struct, frozen=True):
    """A call. `arguments` should be the text of a JSON object; the model may have failed at it."""

    call_id: str
    name: str
    arguments: str
    mark: Mark


class Answered(msgspec.Struct, frozen=True):
    """The output of a call."""

    call_id: str
    parts: tuple[Part, ...]


Spoken = Said | Thought | Asked | Answered


class _Part(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = "user"
    content: msgspec.Raw = msgspec.Raw()
    summary: msgspec.Raw = msgspec.Raw()
    call_id: str = ""
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw()
    input: str = ""
    output: msgspec.Raw = msgspec.Raw()
    octavo: Mark | None = None


_item = msgspec.json.Decoder(_Item).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_string = msgspec.json.Decoder(str).decode
_NO_MARK = Mark()


def read_item(raw: bytes) -> Spoken | None:
    """Return what the model item `raw` says; None if it says nothing that others understand."""
    try:
        return _read(_item(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _read(item: _Item) -> Spoken | None:
    mark = item.octavo or _NO_MARK
    match item.type:
        case "message":
            role = "developer" if item.role == "system" else item.role
            if role not in ("developer", "user", "assistant"):
                role = "user"
            return Said(role, _content(item.content))  # type: ignore[arg-type]  # just checked
        case "reasoning":
            parts = _content(item.summary) or _content(item.content)
            text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
            return Thought(text, mark)
        case "function_call":
            return Asked(item.call_id, item.name, text_of(item.arguments), mark)
        case "custom_tool_call":
            return Asked(item.call_id, item.name, as_function(item.input), mark)
        case "function_call_output" | "custom_tool_call_output":
            return Answered(item.call_id, _content(item.output))
        case _:
            return None


def _content(raw: msgspec.Raw) -> tuple[Part, ...]:
    text = bytes(raw)
    if text.startswith(b'"'):
        return (Text(_string(text)),)
    if not text.startswith(b"["):
        return () if text in (b"", b"null") else (Text(text.decode()),)
    found: list[Part] = []
    for part in _parts(text):
        if part.image_url is not None:
            found.append(Image(part.image_url))
        elif part.text or part.refusal:
            found.append(Text(part.text or part.refusal or ""))
    return tuple(found)


def text_of(raw: msgspec.Raw) -> str:
    """Return a JSON string's text; the JSON itself where it is something else, "" for null."""
    text = bytes(raw)
    if text.startswith(b'"'):
        return _string(text)
    return "" if text == b"null" else text.decode()


# Freeform tools. Neither API has them, so they are offered as functions of one string.


class _Input(msgspec.Struct, forbid_unknown_fields=True):
    input: str


def as_function(text: str) -> str:
    """Return the arguments that stand for the input of a freeform call."""
    return msgspec.json.encode(_Input(text)).decode()


def freeform_input(arguments: str) -> str:
    """Return the input that a model gave a freeform tool through a function's arguments.

    What is not of that form is the input itself: some models write it bare.
    """
    try:
        return msgspec.json.decode(arguments, type=_Input).input
    except (msgspec.DecodeError, UnicodeEncodeError):
        return arguments


class Declared(msgspec.Struct, frozen=True):
    """A tool that may be called."""

    name: str
    description: str
    parameters: msgspec.Raw
    freeform: bool


class _Format(msgspec.Struct):
    syntax: str = ""
    definition: str = ""


class _Tool(msgspec.Struct):
    type: str
    name: str = ""
    description: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b'{"type":"object","properties":{}}')
    format: _Format | None = None


_tools = msgspec.json.Decoder(list[_Tool]).decode
_ONE_STRING = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input."}},'
    b'"required":["input"],"additionalProperties":false}'
)


def declared(tools: bytes) -> tuple[Declared, ...]:
    """Return the tools of a prompt that are called by name; the provider's own are left out."""
    found = []
    for tool in _tools(tools or b"[]"):
        if tool.type == "function":
            found.append(Declared(tool.name, tool.description, tool.parameters, freeform=False))
        elif tool.type == "custom":
            about = tool.description
            if tool.format is not None and tool.format.definition:
                grammar = f"{tool.format.syntax} grammar:\n{tool.format.definition}"
                about = f"{about}\n\nThe input follows this {grammar}"
            found.append(Declared(tool.name, about, _ONE_STRING, freeform=True))
    return tuple(found)


def developer_note(parts: tuple[Text, ...]) -> tuple[Part, ...]:
    """Return instructions that come late, where only the user can still say something."""
    text = "\n\n".join(part.text for part in parts)
    return (Text(f"<developer_message>\n{text}\n</developer_message>"),)


def late_output(answer: Answered) -> tuple[Part, ...]:
    """Return an output that follows no call of its own."""
    return (Text(f"Output of the earlier call {answer.call_id}:"), *answer.parts)
