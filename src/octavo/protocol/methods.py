"""What a client may ask the server: parameters and result of each method.

Names and shapes are the app-server's v2 (Codex 0.169); parameters octavo does not use are
accepted and ignored, as unknown fields are.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Any, Generic, Literal, TypeVar

import msgspec

from octavo.protocol.hooks import HookEventName, HookSource
from octavo.protocol.inputs import UserInput
from octavo.protocol.items import Thread, Turn
from octavo.protocol.usage import Usage

P = TypeVar("P", bound=msgspec.Struct)
R = TypeVar("R", bound=msgspec.Struct)


class Method(msgspec.Struct, Generic[P, R], frozen=True):
    """A method: its name and the types of its parameters and result."""

    name: str
    params: type[P]
    result: type[R]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class Nothing(_Wire, frozen=True):
    """An empty object."""


class ClientInfo(_Wire, frozen=True):
    """Who connects."""

    name: str
    version: str = ""
    title: str | None = None


class Capabilities(_Wire, frozen=True):
    """What the client wants."""

    opt_out_notification_methods: tuple[str, ...] | None = None
    experimental_api: bool = False


class InitializeParams(_Wire, frozen=True):
    client_info: ClientInfo
    capabilities: Capabilities | None = None


class InitializeResult(_Wire, frozen=True):
    user_agent: str
    codex_home: str
    platform_family: str
    platform_os: str


SortDirection = Literal["asc", "desc"]
SandboxWord = Literal["read-only", "workspace-write", "danger-full-access"]
ApprovalWord = Literal["on-request", "never", "untrusted", "on-failure"]


class Granular(msgspec.Struct, frozen=True):
    """Which kinds of question are to be asked."""

    sandbox_approval: bool
    rules: bool
    mcp_elicitations: bool
    request_permissions: bool = False
    skill_approval: bool = False


class GranularApproval(msgspec.Struct, frozen=True):
    """An approval policy by kinds of question."""

    granular: Granular


ApprovalPolicy = ApprovalWord | GranularApproval


class SandboxPolicy(_Wire, frozen=True):
    """The sandbox of a turn, as the wire says it."""

    type_: Literal["dangerFullAccess", "externalSandbox", "readOnly", "workspaceWrite"] = (
        msgspec.field(name="type")
    )
    writable_roots: tuple[str, ...] = ()
    network_access: bool | Literal["restricted", "enabled"] = False
    """A word for "externalSandbox", where it is only told on; else whether there is any."""
    exclude_tmpdir_env_var: bool = False
    exclude_slash_tmp: bool = False


class Budget(_Wire, frozen=True):
    """The most that something may take; null is no limit. `max_time_s` is of a turn only."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    max_time_s: float | None = None


class ThreadStartParams(_Wire, frozen=True):
    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    approvals_reviewer: str | None = None
    """"user"; any other word means that a model judges in the person's place."""
    sandbox: SandboxWord | None = None
    config: dict[str, Any] | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None
    ephemeral: bool | None = None
    octavo_budget: Budget | None = None
    """Of the whole thread; instead of the settings'."""


class ThreadResumeParams(_Wire, frozen=True):
    thread_id: str
    model: str | None = None
    model_provider: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    approvals_reviewer: str | None = None
    """"user"; any other word means that a model judges in the person's place."""
    sandbox: SandboxWord | None = None
    config: dict[str, Any] | None = None
    base_instructions: str | None = None
    developer_instructions: str | None = None
    exclude_turns: bool = False
    octavo_budget: Budget | None = None
    """Of the whole thread; instead of the settings'."""


class ThreadResult(_Wire, frozen=True, kw_only=True):
    """A thread that is loaded and the settings in force."""

    thread: Thread
    model: str
    model_provider: str
    cwd: str
    instruction_sources: tuple[str, ...]
    approval_policy: ApprovalPolicy
    sandbox: SandboxPolicy
    reasoning_effort: str | None = None
    approvals_reviewer: str = "user"
    service_tier: str | None = None
    disabled_plugin_ids: tuple[str, ...] = ()
    collaboration_mode: None = None
    turns_backwards_cursor: str | None = None
    items_backwards_cursor: str | None = None


class ToolOutput(_Wire, frozen=True):
    """What another program said: text, or parts `input_text` and `input_image`."""

    name: str
    output: str | tuple[dict[str, Any], ...]
    namespace: str | None = None


class TurnStartParams(_Wire, frozen=True):
    thread_id: str
    input: tuple[UserInput, ...]
    client_user_message_id: str | None = None
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    approvals_reviewer: str | None = None
    sandbox_policy: SandboxPolicy | None = None
    model: str | None = None
    effort: str | None = None
    summary: str | None = None
    output_schema: dict[str, Any] | None = None
    tool_output: ToolOutput | None = None
    """Of another program, instead of `input`: nothing that the user said, and not to be trusted."""
    octavo_budget: Budget | None = None
    """Of this turn; instead of the settings'. A turn that runs keeps its own."""


class TurnStartResult(_Wire, frozen=True):
    turn: Turn


class TurnSteerParams(_Wire, frozen=True):
    thread_id: str
    input: tuple[UserInput, ...]
    expected_turn_id: str
    client_user_message_id: str | None = None


class TurnSteerResult(_Wire, frozen=True):
    turn_id: str


class TurnInterruptParams(_Wire, frozen=True):
    thread_id: str
    turn_id: str


class ThreadListParams(_Wire, frozen=True):
    """Which threads, and in which order; without `sort_direction` the newest come first.

    Attributes:
        cursor: `next_cursor` of the page before, with the same order.
        cwd: of one directory, or of some.
        source_kinds: which faces began them; all when there is none.
        search_term: a part of the name, or of the first words.
    """

    limit: int | None = None
    cwd: str | tuple[str, ...] | None = None
    cursor: str | None = None
    archived: bool | None = None
    sort_key: str | None = None
    sort_direction: SortDirection | None = None
    search_term: str | None = None
    source_kinds: tuple[str, ...] | None = None
    model_providers: tuple[str, ...] | None = None
    excluded_thread_ids: tuple[str, ...] | None = None


class ThreadListResult(_Wire, frozen=True):
    data: tuple[Thread, ...]
    next_cursor: str | None = None
    backwards_cursor: str | None = None


class ThreadIdParams(_Wire, frozen=True):
    thread_id: str


class LoadedListParams(_Wire, frozen=True):
    """A part of the list, as others are."""

    cursor: str | None = None
    limit: int | None = None


class LoadedListResult(_Wire, frozen=True):
    """Ids of threads."""

    data: tuple[str, ...]
    next_cursor: str | None = None


class UnsubscribeResult(_Wire, frozen=True):
    """Whether the client followed the thread. It goes on, with nobody or with others."""

    status: Literal["notLoaded", "notSubscribed", "unsubscribed"]


class Spending(_Wire, frozen=True, kw_only=True):
    """What some requests to models cost together.

    `cost_usd` is null when a part of it is not known; `known_cost_usd` is the part that is.
    """

    usage: Usage
    requests: int
    cost_usd: float | None
    known_cost_usd: float
    unpriced_requests: int
    estimated_requests: int
    """Cut off before the provider said what they cost: their tokens are an estimate."""


class ThreadUsageResult(_Wire, frozen=True, kw_only=True):
    """What a thread has cost, and what it and its turn may."""

    thread_id: str
    total: Spending
    by_purpose: dict[str, Spending]
    """"turn" for the turns' own requests, "reviewer", …; they add up to `total`."""
    turn: Spending | None
    """Of the running turn, or the last one; all purposes."""
    last: Usage | None
    """Of the last response in a turn."""
    thread_budget: Budget
    turn_budget: Budget


class UndoCompactionResult(_Wire, frozen=True):
    """About how many tokens the next request shows, and showed before."""

    tokens: int
    tokens_before: int


class UndoParams(_Wire, frozen=True):
    """Which turn; it and all after it are taken back. Without one, the last."""

    thread_id: str
    turn_id: str | None = None
    """A beginning of it is enough."""
    files: bool = True
    conversation: bool = True
    overwrite: bool = False
    """Restore files that somebody edited since, too."""


class RedoParams(_Wire, frozen=True):
    thread_id: str
    overwrite: bool = False


class UndoResult(_Wire, frozen=True):
    """What was done.

    `left` are the files that could not be restored: too large to have been kept, or written to in
    these moments.
    """

    turn_ids: tuple[str, ...]
    paths: tuple[str, ...]
    left: tuple[str, ...]


class UndoableTurn(_Wire, frozen=True):
    """A turn of a thread, as far as undoing it goes."""

    id: str
    started_at: int
    """Seconds since 1970."""
    text: str
    """What the user said first in it."""
    changes_files: bool
    undone: bool


class UndoableTurns(_Wire, frozen=True):
    data: tuple[UndoableTurn, ...]
    """Oldest first."""


class PinParams(_Wire, frozen=True):
    thread_id: str
    text: str


class Pin(_Wire, frozen=True):
    """A text that is before the model at all times, also after a compaction."""

    id: str
    text: str


class PinsResult(_Wire, frozen=True):
    data: tuple[Pin, ...]


class UnpinParams(_Wire, frozen=True):
    """One by id."""

    thread_id: str
    id: str


class Approval(_Wire, frozen=True, kw_only=True):
    """One remembered yes. `words` are of a prefix, `host` of a host."""

    id: str
    covers: Literal["exact", "prefix", "host"]
    scope: Literal["project", "always"]
    command: str
    """What was asked about when it was given."""
    created_at: int
    project: str | None = None
    cwd: str | None = None
    words: tuple[str, ...] = ()
    host: str | None = None


class ApprovalsListResult(_Wire, frozen=True):
    data: tuple[Approval, ...]


class ApprovalsRevokeParams(_Wire, frozen=True):
    """Some by id, or all."""

    ids: tuple[str, ...] = ()
    all_: bool = msgspec.field(default=False, name="all")


class ApprovalsRevokeResult(_Wire, frozen=True):
    revoked: int


class HooksListParams(_Wire, frozen=True):
    """Of which directories; the server's own when there is none."""

    cwds: tuple[str, ...] = ()


class HookMetadata(_Wire, frozen=True, kw_only=True):
    """One hook that a file names.

    Attributes:
        key: stands for its place: file, event, number of the group and number in it.
        enabled: it runs.
        current_hash: of what it says; with a project's, of the file and the scripts it names, too.
        trust_status: "trusted" is the person's own, or a project's that they agreed to.
        octavo_outside: it runs outside of the sandbox, as the person's own settings say.
    """

    key: str
    event_name: HookEventName
    source_path: str
    source: HookSource
    display_order: int
    enabled: bool
    current_hash: str
    trust_status: Literal["managed", "untrusted", "trusted", "modified"]
    timeout_sec: int
    command: str
    matcher: str | None = None
    status_message: str | None = None
    handler_type: Literal["command"] = "command"
    execution_mode: Literal["sync"] = "sync"
    async_: bool = msgspec.field(default=False, name="async")
    plugin_id: None = None
    is_managed: bool = False
    additional_context_limit: int | None = None
    octavo_outside: bool = False


class HookErrorInfo(_Wire, frozen=True):
    """What is wrong with a file that names hooks."""

    path: str
    message: str


class HooksListEntry(_Wire, frozen=True):
    """The hooks of a thread in `cwd`. `warnings` say which do not run, and why."""

    cwd: str
    hooks: tuple[HookMetadata, ...]
    warnings: tuple[str, ...]
    errors: tuple[HookErrorInfo, ...]


class HooksListResult(_Wire, frozen=True):
    data: tuple[HooksListEntry, ...]


INITIALIZE = Method("initialize", InitializeParams, InitializeResult)
THREAD_START = Method("thread/start", ThreadStartParams, ThreadResult)
THREAD_RESUME = Method("thread/resume", ThreadResumeParams, ThreadResult)
THREAD_LIST = Method("thread/list", ThreadListParams, ThreadListResult)
TURN_START = Method("turn/start", TurnStartParams, TurnStartResult)
TURN_STEER = Method("turn/steer", TurnSteerParams, TurnSteerResult)
TURN_INTERRUPT = Method("turn/interrupt", TurnInterruptParams, Nothing)
LOADED_LIST = Method("thread/loaded/list", LoadedListParams, LoadedListResult)
UNSUBSCRIBE = Method("thread/unsubscribe", ThreadIdParams, UnsubscribeResult)
CLEAN_TERMINALS = Method("thread/backgroundTerminals/clean", ThreadIdParams, Nothing)
"""Kills the commands of a thread that outlived their calls; answered when they are gone."""
UNDO = Method("octavo/thread/undo", UndoParams, UndoResult)
"""Takes turns back: what they did to files, what was said in them, or both. Not while one runs."""
REDO = Method("octavo/thread/redo", RedoParams, UndoResult)
"""Takes the last undo back, as long as the thread did not go on."""
UNDO_LIST = Method("octavo/thread/turns", ThreadIdParams, UndoableTurns)
COMPACT = Method("thread/compact/start", ThreadIdParams, Nothing)
"""Makes what the model is shown smaller, in a turn of its own or at the running one's next step."""
UNDO_COMPACTION = Method("octavo/thread/compact/undo", ThreadIdParams, UndoCompactionResult)
"""The last compaction that still counts; what came since stays. Not while a turn runs."""
PIN = Method("octavo/thread/pin", PinParams, Pin)
UNPIN = Method("octavo/thread/unpin", UnpinParams, Nothing)
PINS = Method("octavo/thread/pins", ThreadIdParams, PinsResult)
HOOKS_LIST = Method("hooks/list", HooksListParams, HooksListResult)
APPROVALS_LIST = Method("octavo/approvals/list", Nothing, ApprovalsListResult)
APPROVALS_REVOKE = Method("octavo/approvals/revoke", ApprovalsRevokeParams, ApprovalsRevokeResult)

THREAD_USAGE = Method("octavo/thread/usage", ThreadIdParams, ThreadUsageResult)

INITIALIZED = "initialized"
"""The client's notification that it has read the answer to `initialize`."""
