"""What a reviewer is shown: one JSON document, so that no text in it can pass for another part.

Everything is bounded, and what was left out is said: the newest of what happened matters most,
of what the user said the first and the newest.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from octavo.agent.judge import Context
from octavo.protocol.fold import Spoken, Thread
from octavo.protocol.inputs import Text
from octavo.protocol.questions import CommandQuestion
from octavo.protocol.show import user_inputs
from octavo.sandbox import Policy

USER_CHARS = 24_000
TRANSCRIPT_CHARS = 16_000
_ENTRY_CHARS = 1_500
_COMMAND_CHARS = 20_000
_ENTRIES_READ = 200


def evidence(question: CommandQuestion, context: Context) -> str:
    """Return the document about one question."""
    document = {
        "user_messages": _said(context.thread),
        "untrusted_transcript": _happened(context.thread),
        "action": _action(question, context.policy),
    }
    return msgspec.json.encode(document).decode()


def _said(thread: Thread) -> list[str]:
    texts = ["\n".join(p.text for p in user_inputs(r) if isinstance(p, Text)) for r in thread.said]
    if sum(map(len, texts)) <= USER_CHARS:
        return texts
    first = _cut(texts[0], USER_CHARS // 4)
    newest: list[str] = []
    left = USER_CHARS - len(first)
    for text in reversed(texts[1:]):
        if left <= 0:
            break
        newest.append(_cut(text, left))
        left -= len(newest[-1])
    missing = len(texts) - 1 - len(newest)
    between = [f"[{missing} messages are left out here]"] if missing else []
    return [first, *between, *reversed(newest)]


def _happened(thread: Thread) -> list[str]:
    lines: list[str] = []
    left = TRANSCRIPT_CHARS
    history = thread.history
    for entry in reversed(history[-_ENTRIES_READ:]):
        line = _line(entry.raw) if isinstance(entry, Spoken) else None
        if line is None:
            continue
        if left < len(line):
            lines.append("[what happened before is left out]")
            break
        left -= len(line)
        lines.append(line)
    return lines[::-1]


def _line(raw: bytes) -> str | None:
    """Return an entry in short; None for what is not of the assistant or its tools."""
    item: dict[str, Any] = msgspec.json.decode(raw)
    match item.get("type"):
        case "function_call" | "custom_tool_call":
            given = item.get("arguments") or item.get("input") or ""
            return _cut(f"assistant calls {item.get('name')}: {given}", _ENTRY_CHARS)
        case "function_call_output" | "custom_tool_call_output":
            return _cut(f"tool output: {_text(item.get('output'))}", _ENTRY_CHARS)
        case "message" if item.get("role") == "assistant":
            return _cut(f"assistant says: {_text(item.get('content'))}", _ENTRY_CHARS)
    return None


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(str(part.get("text", "[image]")) for part in content if isinstance(part, dict))


def _action(question: CommandQuestion, policy: Policy) -> dict[str, object]:
    network = policy.network
    return {
        "command": _cut(question.command, _COMMAND_CHARS),
        "cwd": question.cwd,
        "assistant_reason": question.reason,
        "asked_because": question.why,
        "rules": question.rules,
        "programs": {program.name: program.path for program in question.programs},
        "paths_written_or_deleted": question.paths,
        "sandbox": {
            "mode": policy.mode.value,
            "workspace": os.fspath(policy.cwd),
            "also_writable": [os.fspath(root) for root in policy.writable_roots],
            "network": network.access,
            "hosts": network.allow if network.access == "hosts" else (),
        },
    }


def _cut(text: str, chars: int) -> str:
    """Return `text`, without its middle where it is longer."""
    if len(text) <= chars:
        return text
    half = chars // 2
    return f"{text[:half]}[{len(text) - 2 * half} characters are left out]{text[-half:]}"
