"""What the server tells clients without being asked, in the app-server's vocabulary.

Each class is the parameters of one notification; `method` is its name on the wire.
"""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import ClassVar, Literal

import msgspec

from octavo.protocol.events import GoalStatus
from octavo.protocol.hooks import HookRun
from octavo.protocol.items import Thread, ThreadItem, ThreadStatus, Turn, TurnError
from octavo.protocol.usage import Usage


class _Notification(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ThreadStarted(_Notification, frozen=True):
    """A thread exists and may be talked to."""

    method: ClassVar[str] = "thread/started"
    thread: Thread


class ThreadStatusChanged(_Notification, frozen=True):
    """A thread became active or idle."""

    method: ClassVar[str] = "thread/status/changed"
    thread_id: str
    status: ThreadStatus


class ThreadClosed(_Notification, frozen=True):
    """A thread is no longer loaded; nothing more comes from it."""

    method: ClassVar[str] = "thread/closed"
    thread_id: str


class ThreadNameUpdated(_Notification, frozen=True):
    """A thread was given a name, or lost it."""

    method: ClassVar[str] = "thread/name/updated"
    thread_id: str
    thread_name: str | None = None


class ThreadArchived(_Notification, frozen=True):
    """A thread was put away; it is listed only among the archived ones."""

    method: ClassVar[str] = "thread/archived"
    thread_id: str


class ThreadUnarchived(_Notification, frozen=True):
    """A thread was taken out of the archive again."""

    method: ClassVar[str] = "thread/unarchived"
    thread_id: str


class ThreadDeleted(_Notification, frozen=True):
    """A thread is gone for good."""

    method: ClassVar[str] = "thread/deleted"
    thread_id: str


class ThreadReverted(_Notification, frozen=True):
    """Turns were taken back: lists of turns and items have them no more, or have them again."""

    method: ClassVar[str] = "thread/reverted"
    thread_id: str


class TokenUsage(msgspec.Struct, frozen=True, rename="camel"):
    """Tokens of the thread so far and of the last response; `octavo_turn` of this turn so far."""

    total: Usage
    last: Usage
    model_context_window: int | None = None
    octavo_turn: Usage | None = None


class TokenUsageUpdated(_Notification, frozen=True):
    """A response was paid for."""

    method: ClassVar[str] = "thread/tokenUsage/updated"
    thread_id: str
    turn_id: str
    token_usage: TokenUsage


class TurnStarted(_Notification, frozen=True):
    """A turn began."""

    method: ClassVar[str] = "turn/started"
    thread_id: str
    turn: Turn


class TurnCompleted(_Notification, frozen=True):
    """A turn ended, however it did; last of its turn."""

    method: ClassVar[str] = "turn/completed"
    thread_id: str
    turn: Turn


class ItemStarted(_Notification, frozen=True):
    """Something began to be written or to run."""

    method: ClassVar[str] = "item/started"
    thread_id: str
    turn_id: str
    item: ThreadItem
    started_at_ms: int


class ItemCompleted(_Notification, frozen=True):
    """Something is done; `item` is its final form."""

    method: ClassVar[str] = "item/completed"
    thread_id: str
    turn_id: str
    item: ThreadItem
    completed_at_ms: int


class AgentMessageDelta(_Notification, frozen=True):
    """A piece of a message."""

    method: ClassVar[str] = "item/agentMessage/delta"
    thread_id: str
    turn_id: str
    item_id: str
    delta: str


class ReasoningSummaryTextDelta(_Notification, frozen=True):
    """A piece of a reasoning summary."""

    method: ClassVar[str] = "item/reasoning/summaryTextDelta"
    thread_id: str
    turn_id: str
    item_id: str
    delta: str
    summary_index: int = 0


class ReasoningTextDelta(_Notification, frozen=True):
    """A piece of raw reasoning."""

    method: ClassVar[str] = "item/reasoning/textDelta"
    thread_id: str
    turn_id: str
    item_id: str
    delta: str
    content_index: int = 0


class CommandOutputDelta(_Notification, frozen=True):
    """Output of a running command."""

    method: ClassVar[str] = "item/commandExecution/outputDelta"
    thread_id: str
    turn_id: str
    item_id: str
    delta: str


class McpToolCallProgress(_Notification, frozen=True):
    """A call of an MCP server's tool goes on."""

    method: ClassVar[str] = "item/mcpToolCall/progress"
    thread_id: str
    turn_id: str
    item_id: str
    message: str


class McpServerStatusUpdated(_Notification, frozen=True):
    """An MCP server of a thread starts, is there, or is not."""

    method: ClassVar[str] = "mcpServer/startupStatus/updated"
    name: str
    status: Literal["starting", "ready", "failed", "cancelled"]
    error: str | None = None
    thread_id: str | None = None


class McpOauthLoginCompleted(_Notification, frozen=True):
    """A login at an MCP server came about, or did not; `login_id` as its request gave it."""

    method: ClassVar[str] = "mcpServer/oauthLogin/completed"
    name: str
    success: bool
    error: str | None = None
    login_id: str | None = None
    thread_id: str | None = None


class PlanStep(msgspec.Struct, frozen=True):
    """One step of a plan."""

    step: str
    status: Literal["pending", "inProgress", "completed"]


class PlanUpdated(_Notification, frozen=True):
    """The model's plan, whole."""

    method: ClassVar[str] = "turn/plan/updated"
    thread_id: str
    turn_id: str
    explanation: str | None
    plan: tuple[PlanStep, ...]


class DiffUpdated(_Notification, frozen=True):
    """The turn's file changes so far, as one unified diff."""

    method: ClassVar[str] = "turn/diff/updated"
    thread_id: str
    turn_id: str
    diff: str


class Compacted(_Notification, frozen=True):
    """What the model is shown was made smaller; the item `contextCompaction` says it, too."""

    method: ClassVar[str] = "thread/compacted"
    thread_id: str
    turn_id: str


class ErrorHappened(_Notification, frozen=True):
    """A request failed; `will_retry` says whether it is repeated or the turn ends."""

    method: ClassVar[str] = "error"
    error: TurnError
    will_retry: bool
    thread_id: str
    turn_id: str


class Warned(_Notification, frozen=True):
    """Something a person should know that ends nothing."""

    method: ClassVar[str] = "warning"
    message: str
    thread_id: str | None = None
    octavo_code: str | None = None
    """What it is about, for programs: see `events.Noticed.code`."""


class HookStarted(_Notification, frozen=True):
    """A hook runs."""

    method: ClassVar[str] = "hook/started"
    thread_id: str
    turn_id: str | None
    run: HookRun


class HookCompleted(_Notification, frozen=True):
    """A hook has run; `run.entries` is what it said."""

    method: ClassVar[str] = "hook/completed"
    thread_id: str
    turn_id: str | None
    run: HookRun


class ServerRequestResolved(_Notification, frozen=True):
    """A question was answered, by whichever client, or is void."""

    method: ClassVar[str] = "serverRequest/resolved"
    thread_id: str
    request_id: str | int


class ThreadGoal(msgspec.Struct, frozen=True, rename="camel"):
    """What a thread is to reach by itself. Times in seconds; tokens without cached input."""

    thread_id: str
    objective: str
    status: GoalStatus
    token_budget: int | None
    tokens_used: int
    time_used_seconds: int
    created_at: int
    updated_at: int
    octavo_reason: str | None = None
    """Why octavo stopped going on, where it did: one sentence."""


class GoalUpdated(_Notification, frozen=True):
    """A thread has a goal, or something about it changed; also after each turn it took."""

    method: ClassVar[str] = "thread/goal/updated"
    thread_id: str
    turn_id: str | None
    goal: ThreadGoal


class GoalCleared(_Notification, frozen=True):
    """A thread has no goal any more."""

    method: ClassVar[str] = "thread/goal/cleared"
    thread_id: str


class AccountUpdated(_Notification, frozen=True):
    """There is a key now, or none any more."""

    method: ClassVar[str] = "account/updated"
    auth_mode: Literal["apikey"] | None = None
    plan_type: None = None


class LoginCompleted(_Notification, frozen=True):
    """A key was stored."""

    method: ClassVar[str] = "account/login/completed"
    success: bool
    login_id: str | None = None
    error: str | None = None


class CommandExecOutput(_Notification, frozen=True):
    """Output of a command that the client runs by itself; `cap_reached`: some was left out."""

    method: ClassVar[str] = "command/exec/outputDelta"
    process_id: str
    stream: Literal["stdout", "stderr"]
    delta_base64: str
    cap_reached: bool


class FsChanged(_Notification, frozen=True):
    """Something happened to what a client watches; told a little later, several at once."""

    method: ClassVar[str] = "fs/changed"
    watch_id: str
    changed_paths: tuple[str, ...]


class FuzzyFileSearchResult(msgspec.Struct, frozen=True):
    """A path below one of the roots.

    Attributes:
        score: the higher the better; comparable within one answer.
        indices: where in `path` the letters of the query are, counted in characters.
    """

    root: str
    path: str
    match_type: Literal["file", "directory"]
    file_name: str
    score: int
    indices: tuple[int, ...]


class FuzzySearchUpdated(_Notification, frozen=True):
    """What a search for files has found for `query`, the best first."""

    method: ClassVar[str] = "fuzzyFileSearch/sessionUpdated"
    session_id: str
    query: str
    files: tuple[FuzzyFileSearchResult, ...]


class FuzzySearchCompleted(_Notification, frozen=True):
    """All that a search would find was told, until there is another query."""

    method: ClassVar[str] = "fuzzyFileSearch/sessionCompleted"
    session_id: str


Notification = (
    ThreadStarted
    | ThreadStatusChanged
    | ThreadClosed
    | ThreadNameUpdated
    | ThreadArchived
    | ThreadUnarchived
    | ThreadDeleted
    | TokenUsageUpdated
    | TurnStarted
    | TurnCompleted
    | ItemStarted
    | ItemCompleted
    | AgentMessageDelta
    | ReasoningSummaryTextDelta
    | ReasoningTextDelta
    | CommandOutputDelta
    | PlanUpdated
    | DiffUpdated
    | Compacted
    | ErrorHappened
    | Warned
    | HookStarted
    | HookCompleted
    | ServerRequestResolved
    | AccountUpdated
    | LoginCompleted
    | CommandExecOutput
    | FsChanged
    | ThreadReverted
    | GoalUpdated
    | GoalCleared
    | McpToolCallProgress
    | McpServerStatusUpdated
    | McpOauthLoginCompleted
    | FuzzySearchUpdated
    | FuzzySearchCompleted
)

BY_METHOD: dict[str, type[Notification]] = {
    kind.method: kind
    for kind in (
        ThreadStarted,
        ThreadStatusChanged,
        ThreadClosed,
        ThreadNameUpdated,
        ThreadArchived,
        ThreadUnarchived,
        ThreadDeleted,
        TokenUsageUpdated,
        TurnStarted,
        TurnCompleted,
        ItemStarted,
        ItemCompleted,
        AgentMessageDelta,
        ReasoningSummaryTextDelta,
        ReasoningTextDelta,
        CommandOutputDelta,
        PlanUpdated,
        DiffUpdated,
        Compacted,
        ErrorHappened,
        Warned,
        HookStarted,
        HookCompleted,
        ServerRequestResolved,
        AccountUpdated,
        LoginCompleted,
        CommandExecOutput,
        FsChanged,
        ThreadReverted,
        GoalUpdated,
        GoalCleared,
        McpToolCallProgress,
        McpServerStatusUpdated,
        McpOauthLoginCompleted,
        FuzzySearchUpdated,
        FuzzySearchCompleted,
    )
}
