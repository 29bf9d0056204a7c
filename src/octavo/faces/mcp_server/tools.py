"""The tools, their arguments, and what they give back.

Codex's own MCP server called the first two `codex` and `codex-reply`, with these arguments; calls
by those names are answered, too.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Annotated, Any, Literal

import msgspec

from mcp import types

START, REPLY, READ = "octavo", "octavo-reply", "octavo-read"
ALIASES = {"codex": START, "codex-reply": REPLY}

READ_TURNS = 10
READ_TURNS_LIMIT = 100


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class StartArguments(_Arguments, frozen=True, kw_only=True, rename="kebab"):
    """Of `octavo`."""

    prompt: str
    cwd: str | None = None
    model: str | None = None
    sandbox: Literal["read-only", "workspace-write", "danger-full-access"] | None = None
    approval_policy: Literal["never", "on-request", "on-failure", "untrusted"] | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None


class ReplyArguments(_Arguments, frozen=True, kw_only=True, rename="camel"):
    """Of `octavo-reply`. `conversation_id` is what older clients say."""

    prompt: str
    thread_id: str | None = None
    conversation_id: str | None = None


class ReadArguments(_Arguments, frozen=True, kw_only=True, rename="camel"):
    """Of `octavo-read`."""

    thread_id: str
    turns: Annotated[int, msgspec.Meta(ge=1, le=READ_TURNS_LIMIT)] = READ_TURNS


_TEXT = {"type": "string"}
_THREAD = {"type": "string", "description": "The threadId that an earlier call gave."}
_ANSWER = {
    "type": "object",
    "properties": {
        "threadId": {"type": "string", "description": "To go on with octavo-reply."},
        "content": {"type": "string", "description": "octavo's last message."},
        "status": {"type": "string", "enum": ["completed", "interrupted", "failed"]},
    },
    "required": ["threadId", "content", "status"],
}
_TURN = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "status": _TEXT,
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": _TEXT, "text": _TEXT},
                "required": ["type", "text"],
            },
        },
    },
    "required": ["id", "status", "items"],
}


def _schema(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def tools() -> list[types.Tool]:
    """Return all of them, described for a model that may call them."""
    return [
        types.Tool(
            name=START,
            title="Have octavo do a task",
            description=(
                "Begin a thread of octavo, a coding assistant that reads the repository, runs "
                "commands in a sandbox, edits files and tests them. Returns when its turn has "
                "ended, with its last message and a threadId to go on with."
            ),
            input_schema=_schema(
                {
                    "prompt": {"type": "string", "description": "The task, in full."},
                    "cwd": {
                        "type": "string",
                        "description": "Where it works: the directory that octavo serves, if said.",
                    },
                    "model": {"type": "string", "description": "Instead of the configured one."},
                    "sandbox": {
                        "type": "string",
                        "enum": ["read-only", "workspace-write", "danger-full-access"],
                        "description": "At most what octavo's settings give.",
                    },
                    "approval-policy": {
                        "type": "string",
                        "enum": ["never", "on-request", "on-failure", "untrusted"],
                        "description": "never: what would need a person's yes is refused.",
                    },
                    "base-instructions": {
                        "type": "string",
                        "description": "Instead of octavo's own.",
                    },
                    "developer-instructions": {
                        "type": "string",
                        "description": "Besides octavo's own.",
                    },
                },
                "prompt",
            ),
            output_schema=_ANSWER,
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=True, open_world_hint=True
            ),
        ),
        types.Tool(
            name=REPLY,
            title="Go on with a thread of octavo",
            description="Say more to a thread of octavo that an earlier call began.",
            input_schema=_schema(
                {
                    "threadId": _THREAD,
                    "prompt": {"type": "string", "description": "What to do next."},
                    "conversationId": {"type": "string", "description": "An older word for it."},
                },
                "prompt",
            ),
            output_schema=_ANSWER,
            annotations=types.ToolAnnotations(
                read_only_hint=False, destructive_hint=True, open_world_hint=True
            ),
        ),
        types.Tool(
            name=READ,
            title="Read a thread of octavo",
            description="Show what was said and done in a thread of octavo: its latest turns.",
            input_schema=_schema(
                {
                    "threadId": _THREAD,
                    "turns": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": READ_TURNS_LIMIT,
                        "default": READ_TURNS,
                        "description": "How many turns, from the last one back.",
                    },
                },
                "threadId",
            ),
            output_schema={
                "type": "object",
                "properties": {
                    "threadId": _TEXT,
                    "name": {"type": ["string", "null"]},
                    "cwd": _TEXT,
                    "turns": {"type": "array", "items": _TURN},
                },
                "required": ["threadId", "cwd", "turns"],
            },
            annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        ),
    ]
