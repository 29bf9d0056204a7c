"""A thread as another model reads it: its latest turns, each item in a few words."""

from __future__ import annotations

from typing import Any

from octavo.protocol import items as it
from octavo.protocol.inputs import Text

ITEM_CHARACTERS = 4_000


def read_thread(thread: it.Thread, turns: tuple[it.Turn, ...]) -> dict[str, Any]:
    """Return the thread and `turns` of it, as `octavo-read` promises."""
    return {
        "threadId": thread.id,
        "name": thread.name,
        "cwd": thread.cwd,
        "turns": [
            {"id": turn.id, "status": turn.status, "items": [_item(one) for one in turn.items]}
            for turn in turns
        ],
    }


def as_text(found: dict[str, Any]) -> str:
    """Return the same as text, for clients that read no structure."""
    parts = [f"Thread {found['threadId']} in {found['cwd']}"]
    for turn in found["turns"]:
        parts.append(f"\n== Turn {turn['id']} ({turn['status']})")
        parts += [f"[{one['type']}] {one['text']}" for one in turn["items"]]
    return "\n".join(parts)


def _item(item: it.ThreadItem) -> dict[str, str]:
    text = _text(item)
    if len(text) > ITEM_CHARACTERS:
        text = f"{text[:ITEM_CHARACTERS]}\n… {len(text) - ITEM_CHARACTERS} more characters"
    return {"type": str(type(item).__struct_config__.tag), "text": text}


def _text(item: it.ThreadItem) -> str:
    match item:
        case it.UserMessage():
            return "\n".join(
                part.text if isinstance(part, Text) else f"({type(part).__name__})"
                for part in item.content
            )
        case it.AgentMessage():
            return item.text
        case it.Reasoning():
            return "\n\n".join(item.summary)
        case it.CommandExecution():
            end = item.status if item.exit_code is None else f"exit code {item.exit_code}"
            return f"$ {item.command}\n({end})\n{item.aggregated_output or ''}"
        case it.FileChange():
            return f"({item.status})\n" + "\n".join(
                f"{change.kind.type_} {change.path}\n{change.diff}" for change in item.changes
            )
        case it.McpToolCall():
            texts = [] if item.result is None else [p.get("text", "") for p in item.result.content]
            why = [] if item.error is None else [item.error.message]
            return "\n".join([f"{item.server} {item.tool} ({item.status})", *texts, *why])
        case _:
            return str(getattr(item, "tool", "") or getattr(item, "query", ""))
