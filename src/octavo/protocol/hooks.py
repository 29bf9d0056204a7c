"""One run of a hook, as the log keeps it and clients are told.

The shapes are the app-server's (`HookRunSummary`, `HookOutputEntry`; Codex 0.169).
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Literal

import msgspec

HookEventName = Literal[
    "sessionStart",
    "userPromptSubmit",
    "preModelRequest",
    "preToolUse",
    "permissionRequest",
    "postToolUse",
    "preCompact",
    "postCompact",
    "stop",
    "sessionEnd",
]
HookSource = Literal["system", "user", "project"]
HookStatus = Literal["running", "completed", "failed", "blocked", "stopped"]


class HookEntry(msgspec.Struct, frozen=True):
    """Something a hook said.

    Attributes:
        kind: "warning" and "error" are for the person; "context" and "feedback" for the model;
            "stop" is why the turn ends.
    """

    kind: Literal["warning", "stop", "feedback", "context", "error"]
    text: str


class HookRun(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A hook that runs or has run.

    Attributes:
        id: of this run alone.
        source_path: the file that names the hook.
        display_order: its place among all hooks.
        status: "blocked": it said no; "stopped": it ended the turn; "failed": it did not do what
            it should, and nothing it said counts.
        started_at: in seconds, as on the wire.
    """

    id: str
    event_name: HookEventName
    source_path: str
    source: HookSource
    display_order: int
    status: HookStatus
    started_at: int
    scope: Literal["thread", "turn"] = "turn"
    handler_type: Literal["command"] = "command"
    execution_mode: Literal["sync"] = "sync"
    status_message: str | None = None
    completed_at: int | None = None
    duration_ms: int | None = None
    entries: tuple[HookEntry, ...] = ()
