"""What of a thread is shown in a file, in order, as plain text that hides nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

import msgspec

from octavo.protocol import items as it
from octavo.protocol.inputs import Text
from octavo.protocol.visible import visible, visible_command

Kind = Literal["user", "answer", "reasoning", "command", "diff", "tool", "note"]


class Block(msgspec.Struct, frozen=True):
    """One thing of a turn.

    Attributes:
        title: one line; a command may have more.
        body: text of any length, perhaps none.
    """

    kind: Kind
    title: str
    body: str = ""


def headline(thread: it.Thread) -> str:
    """The name of the thread, or how it begins."""
    words = thread.name or thread.preview or thread.id
    return visible_command(" ".join(words.split()))


def facts(thread: it.Thread) -> list[tuple[str, str]]:
    """What to say of the thread as a whole."""
    found = [
        ("Thread", thread.id),
        ("Directory", visible_command(thread.cwd)),
        ("Model", visible_command(thread.model or "")),
        ("Began", _utc(thread.created_at)),
        ("Last used", _utc(thread.updated_at)),
    ]
    if thread.forked_from_id is not None:
        found.append(("Forked from", thread.forked_from_id))
    return [(name, value) for name, value in found if value]


def turn_title(number: int, turn: it.Turn) -> str:
    """One line for a turn."""
    began = "" if turn.started_at is None else f" · {_utc(turn.started_at)}"
    ended = "" if turn.status == "completed" else f" · {turn.status}"
    return f"Turn {number}{began}{ended}"


def blocks(turn: it.Turn) -> Iterator[Block]:
    """Yield what happened in a turn."""
    for item in turn.items:
        yield from _item(item)
    if turn.error is not None:
        yield Block("note", "The turn failed.", visible(turn.error.message))


def _texts(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(part.get("text", "")) for part in parts]


def _item(item: it.ThreadItem) -> Iterator[Block]:
    match item:
        case it.UserMessage():
            texts = [part.text for part in item.content if isinstance(part, Text)]
            others = len(item.content) - len(texts)
            yield Block("user", "User", visible("\n".join(texts)))
            if others:
                yield Block("note", f"{others} image{'s' if others > 1 else ''}, not in this file.")
        case it.FunctionCallOutput():
            texts = [item.output] if isinstance(item.output, str) else _texts(item.output)
            yield Block("tool", visible_command(item.name), visible("\n".join(texts)))
        case it.AgentMessage():
            yield Block("answer", "Model", visible(item.text))
        case it.Reasoning():
            if text := "\n\n".join(item.summary or item.content):
                yield Block("reasoning", "Reasoning", visible(text))
        case it.CommandExecution():
            how = item.status if item.exit_code is None else f"exit status {item.exit_code}"
            yield Block("command", visible_command(item.command), _output(item, how))
        case it.FileChange():
            for change in item.changes:
                moved = f" → {change.kind.move_path}" if change.kind.move_path else ""
                done = "" if item.status == "completed" else f" ({item.status})"
                title = visible_command(f"{change.kind.type_} {change.path}{moved}{done}")
                yield Block("diff", title, visible(change.diff))
        case it.McpToolCall():
            arguments = msgspec.json.encode(item.arguments).decode()
            done = "" if item.status == "completed" else f" ({item.status})"
            title = visible_command(f"{item.server}.{item.tool} {arguments}{done}")
            texts = [part.get("text", "") for part in item.result.content] if item.result else []
            failure = [] if item.error is None else [item.error.message]
            yield Block("tool", title, visible("\n".join([*texts, *failure])))
        case it.DynamicToolCall():
            arguments = msgspec.json.encode(item.arguments).decode()
            texts = [part.get("text", "") for part in item.content_items or ()]
            title = visible_command(f"{item.tool} {arguments}")
            yield Block("tool", title, visible("\n".join(texts)))
        case it.WebSearch():
            yield Block("note", visible_command(f"Searched the web: {item.query}"))
        case it.ImageView():
            yield Block("note", visible_command(f"Looked at the image {item.path}"))
        case it.ContextCompaction():
            yield Block("note", "What the model is shown of the thread was made smaller.")
        case _:
            assert_never(item)


def _output(item: it.CommandExecution, how: str) -> str:
    output = visible(item.aggregated_output or "")
    end = "" if not output or output.endswith("\n") else "\n"
    return output if item.exit_code == 0 else f"{output}{end}[{how}]"


def _utc(at_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_s))
