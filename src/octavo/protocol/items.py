"""What a face shows: the finished and unfinished things of a turn, in the app-server's shapes.

Source: JSON Schema and TypeScript printed by `codex app-server generate-ts`, version 0.169 (v2).
Fields that octavo never fills are sent as null where that schema requires their presence.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Literal

import msgspec

from octavo.protocol.inputs import UserInput

Status = Literal["inProgress", "completed", "failed", "declined"]


class _Item(msgspec.Struct, frozen=True, rename="camel", tag_field="type", kw_only=True):
    id: str
    started_at_ms: int | None = None
    completed_at_ms: int | None = None


class UserMessage(_Item, frozen=True, tag="userMessage", kw_only=True):
    """What the user said."""

    content: tuple[UserInput, ...]
    client_id: str | None = None


class FunctionCallOutput(_Item, frozen=True, tag="functionCallOutput", kw_only=True):
    """What another program said through a client, as text or as parts of content."""

    name: str
    namespace: str | None
    output: str | tuple[dict[str, Any], ...]


class AgentMessage(_Item, frozen=True, tag="agentMessage", kw_only=True):
    """What the model said."""

    text: str
    phase: str | None = None
    moderation: None = None
    memory_citation: None = None
    delivery: None = None
    questions: None = None


class Reasoning(_Item, frozen=True, tag="reasoning", kw_only=True):
    """A summary of the model's reasoning, and its raw text where the model gives it."""

    summary: tuple[str, ...] = ()
    content: tuple[str, ...] = ()


class CommandExecution(_Item, frozen=True, tag="commandExecution", kw_only=True):
    """A command the model ran, or a person ("userShell").

    `aggregated_output` is what the model was shown of its output.
    """

    command: str
    cwd: str
    status: Status
    process_id: str | None = None
    source: Literal["agent", "userShell"] = "agent"
    command_actions: tuple[dict[str, Any], ...] = ()
    aggregated_output: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    plugin_id: None = None
    script_path: None = None


class Kind(msgspec.Struct, frozen=True):
    """How a file changes."""

    type_: Literal["add", "delete", "update"] = msgspec.field(name="type")
    move_path: str | None | msgspec.UnsetType = msgspec.UNSET
    """Only with "update"; null when the file stays where it is."""


class FileUpdateChange(msgspec.Struct, frozen=True, rename="camel"):
    """One file of a change, with its unified diff."""

    path: str
    kind: Kind
    diff: str


class FileChange(_Item, frozen=True, tag="fileChange", kw_only=True):
    """A patch."""

    changes: tuple[FileUpdateChange, ...]
    status: Status


class McpResult(msgspec.Struct, frozen=True, rename={"structured_content": "structuredContent"}):
    """What a tool of a server gave, as the model was shown it."""

    content: tuple[dict[str, Any], ...]
    structured_content: Any = None


class McpError(msgspec.Struct, frozen=True):
    """Why there is no result."""

    message: str


class McpToolCall(_Item, frozen=True, tag="mcpToolCall", kw_only=True):
    """A call of a tool of an MCP server."""

    server: str
    tool: str
    arguments: Any
    status: Literal["inProgress", "completed", "failed"]
    result: McpResult | None = None
    error: McpError | None = None
    duration_ms: int | None = None
    read_only_hint: bool | None = None
    app_context: None = None
    mcp_app_resource_uri: None = None
    mcp_app_ui: None = None
    plugin_id: None = None


class DynamicToolCall(_Item, frozen=True, tag="dynamicToolCall", kw_only=True):
    """A call of a tool that has no item of its own, or one that could not begin."""

    tool: str
    arguments: Any
    status: Literal["inProgress", "completed", "failed"]
    content_items: tuple[dict[str, str], ...] | None = None
    success: bool | None = None
    namespace: str | None = None
    duration_ms: int | None = None


class WebSearch(_Item, frozen=True, tag="webSearch", kw_only=True):
    """A search the provider ran."""

    query: str
    action: dict[str, Any] | None = None


class ImageView(_Item, frozen=True, tag="imageView", kw_only=True):
    """An image the model looked at."""

    path: str


class ContextCompaction(_Item, frozen=True, tag="contextCompaction", kw_only=True):
    """What the model is shown of the thread was made smaller."""

    octavo_kind: Literal["local", "remote", "trimmed"] | None = None
    """Whether there is a summary, and whose; None while it is being made."""
    octavo_tokens_before: int | None = None
    octavo_tokens_after: int | None = None


ThreadItem = (
    UserMessage
    | FunctionCallOutput
    | AgentMessage
    | Reasoning
    | CommandExecution
    | FileChange
    | McpToolCall
    | DynamicToolCall
    | WebSearch
    | ImageView
    | ContextCompaction
)


class TurnError(msgspec.Struct, frozen=True, rename="camel"):
    """Why a turn failed, or an attempt is repeated. `codex_error_info` is a word or an object."""

    message: str
    codex_error_info: Any = None
    additional_details: str | None = None
    misalignment: None = None


class Turn(msgspec.Struct, frozen=True, rename="camel"):
    """A turn; `items_view` says whether `items` are all there. Times in seconds, as on the wire."""

    id: str
    items: tuple[ThreadItem, ...] = ()
    items_view: Literal["notLoaded", "summary", "full"] = "notLoaded"
    status: Literal["completed", "interrupted", "failed", "inProgress"] = "inProgress"
    error: TurnError | None = None
    started_at: int | None = None
    completed_at: int | None = None
    duration_ms: int | None = None
    root_turn_id: str | None = None


class ThreadStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What a thread is doing."""

    type_: Literal["notLoaded", "idle", "systemError", "active"] = msgspec.field(name="type")
    active_flags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class GitInfo(msgspec.Struct, frozen=True, rename="camel"):
    """Where the working directory's repository stood when the thread began."""

    sha: str | None = None
    branch: str | None = None
    origin_url: str | None = None


class Thread(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A thread as clients see it. Times in seconds, as on the wire."""

    id: str
    session_id: str
    preview: str
    ephemeral: bool
    model_provider: str
    model: str | None
    created_at: int
    updated_at: int
    status: ThreadStatus
    path: str | None
    cwd: str
    cli_version: str
    source: str
    recency_at: int | None = None
    reasoning_effort: str | None = None
    originator: str | None = None
    git_info: GitInfo | None = None
    name: str | None = None
    turns: tuple[Turn, ...] = ()
    history_mode: str = "paginated"
    forked_from_id: str | None = None
    parent_thread_id: str | None = None
    section: None = None
    section_entered_at: None = None
    project_id: None = None
    thread_source: str | None = None
    agent_nickname: None = None
    agent_role: None = None
    octavo_held_by: str | None = None
    """Who is writing it, where that is another process; then it can be read here, no more."""
    octavo_turns: int | None = None
    """How many turns it has, and `octavo_tokens` what they took; in lists."""
    octavo_tokens: int | None = None
    octavo_archived: bool = False
