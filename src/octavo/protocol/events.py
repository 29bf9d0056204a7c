"""What happens in a thread: the lines of its log, and the only source of its state.

Every event is one line of the log and is frozen once written, `Delta` and `Progress` apart, which
are for eyes only and never stored. The log holds each model item exactly as it is sent to a model
(`raw`), once; what a face shows is derived from it (`project`). The legal orders are in `fold`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.protocol.asides import (
    Added,
    Again,
    Compacted,
    CompactionUndone,
    Dropped,
    External,
    GoalCleared,
    GoalSet,
    GoalStatus,
    Injected,
    Kept,
    Pinned,
    RestoredFolder,
    ServerTold,
    ShellEnded,
    ShellStarted,
    Shown,
    SnapshotTaken,
    TurnsUndone,
    UndoUndone,
    Unpinned,
)
from octavo.protocol.effects import (
    CallFacts,
    EditIntent,
    EventBase,
    FileEdit,
    FileMark,
    GitMark,
    Intent,
    RunIntent,
    ToolIntent,
)
from octavo.protocol.hooks import HookRun
from octavo.protocol.questions import Answer, Question
from octavo.protocol.usage import Usage

__all__ = [
    "Added", "Again", "CallFacts", "Compacted", "CompactionUndone", "Dropped", "EditIntent",
    "External", "FileEdit", "FileMark", "GitMark", "GoalCleared", "GoalSet", "GoalStatus",
    "Injected", "Intent", "Kept", "Pinned", "RestoredFolder", "RunIntent", "ServerTold",
    "ShellEnded", "ShellStarted", "Shown", "SnapshotTaken", "ToolIntent", "TurnsUndone",
    "UndoUndone", "Unpinned",
]  # fmt: skip
"""What is defined elsewhere and belongs here."""

FORMAT = 2
"""The newest version of the log's format that is understood. The first line of a log says which
one it needs: 2 when it begins in another log (`ForkedFrom`), else 1."""


class ForkedFrom(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a thread begins in another one: what that log says up to here is said in this thread.

    Attributes:
        thread_id: whose log it is; its own first event does not count.
        turn_id: the last turn that is shared; its end is what the log says last.
        end_bytes: how much of the log is shared.
        depth: how many logs a reader has to follow, this one included.
    """

    thread_id: str
    turn_id: str
    end_bytes: int
    depth: int = 1


class ThreadStarted(EventBase, frozen=True, tag="thread_started"):
    """First in its log, once."""

    thread_id: str
    cwd: str
    at_ms: int
    version: str
    model: str
    provider: str
    source: str = "exec"
    """Which face began it."""
    format: int = 1
    git_branch: str | None = None
    git_commit: str | None = None
    forked_from: ForkedFrom | None = None


class ThreadNamed(EventBase, frozen=True, tag="thread_named"):
    """A person gave the thread a name; an empty one takes it away. May come outside a turn."""

    at_ms: int
    name: str


class TurnStarted(EventBase, frozen=True, tag="turn_started"):
    """The settings this turn runs under; whatever differs from the last turn took effect here."""

    turn_id: str
    at_ms: int
    model: str
    provider: str
    cwd: str
    sandbox: str
    approval: str
    effort: str | None = None


class ContextAdded(EventBase, frozen=True, tag="context_added"):
    """A model item that octavo adds by itself: instructions, environment, what changed in them.

    Attributes:
        key: what it describes; a later item with the same key replaces it in the model's eyes.
        digest: of the described state, so that an unchanged state is not said again.
    """

    turn_id: str
    key: str
    digest: str
    raw: msgspec.Raw


class UserSpoke(EventBase, frozen=True, tag="user_spoke"):
    """What the user said, at the start of a turn or steering it.

    Attributes:
        external: who said it, where that was not the user; the first part of `raw` says so.
    """

    turn_id: str
    item_id: str
    at_ms: int
    raw: msgspec.Raw
    client_id: str | None = None
    external: External | None = None


class ItemAdded(EventBase, frozen=True, tag="item_added"):
    """The model finished an item. A call carries its `call_id`, `name` and `freeform`.

    Attributes:
        kind: type of the model item: "message", "reasoning", "function_call", …
        item_id: the id under which its deltas were shown.
    """

    turn_id: str
    item_id: str
    kind: str
    at_ms: int
    raw: msgspec.Raw
    call_id: str | None = None
    name: str | None = None


class CallStarted(EventBase, frozen=True, tag="call_started"):
    """A call is about to have an effect. On disk before the effect."""

    turn_id: str
    call_id: str
    at_ms: int
    intent: Intent


class CallEnded(EventBase, frozen=True, tag="call_ended"):
    """A call has its output. Exactly one a call; `raw` is the output as a model item.

    Attributes:
        labels: where what it brought comes from: "untrusted", "private".
    """

    turn_id: str
    call_id: str
    at_ms: int
    raw: msgspec.Raw
    ok: bool = True
    facts: CallFacts | None = None
    labels: tuple[str, ...] = ()


class ProcessEnded(EventBase, frozen=True, tag="process_ended"):
    """A command that outlived its call has ended. May come outside a turn."""

    call_id: str
    at_ms: int
    facts: CallFacts


class StepEnded(EventBase, frozen=True, tag="step_ended"):
    """The model's response is over; no more items of it follow.

    Attributes:
        usage: what it cost, in logs from before there was `Spent`.
        cut: it broke off after a call had started; the next request goes on from here.
    """

    turn_id: str
    at_ms: int
    usage: Usage | None = None
    cut: bool = False


class Spent(EventBase, frozen=True, tag="spent"):
    """A request to a model is over and was paid for, whatever came of it.

    Every request that reached a model makes one, those of a reviewer and those that were cut off
    included; that of a step comes before its `StepEnded`. May come outside a turn.

    Attributes:
        purpose: "turn" for the steps of the turn itself; else what asked: "reviewer", …
        nano_usd: what it cost, at the price of then; None when that is not known.
        estimated: the provider did not say, so the tokens are octavo's own estimate.
    """

    at_ms: int
    purpose: str
    provider: str
    model: str
    usage: Usage
    nano_usd: int | None = None
    estimated: bool = False
    turn_id: str | None = None


class Retrying(EventBase, frozen=True, tag="retrying"):
    """An attempt failed and is repeated; what was being written is void."""

    turn_id: str
    at_ms: int
    message: str
    attempt: int
    of: int
    info: str = "other"
    status: int | None = None


class Noticed(EventBase, frozen=True, tag="noticed"):
    """Something a person should know that ends nothing: a warning, one sentence."""

    at_ms: int
    message: str
    turn_id: str | None = None
    code: str | None = None
    """For programs: "sandbox.none" where no command can run; "files.later" where files that run
    later were changed; "hooks.skipped" where a hook is not used."""


class HookStarted(EventBase, frozen=True, tag="hook_started"):
    """A hook is about to run. May come outside a turn."""

    at_ms: int
    run: HookRun
    turn_id: str | None = None


class HookEnded(EventBase, frozen=True, tag="hook_ended"):
    """A hook is over, and nothing of it is left; also when its turn was interrupted.

    Attributes:
        labels: of what it said to the model; see `CallEnded`.
    """

    at_ms: int
    run: HookRun
    turn_id: str | None = None
    labels: tuple[str, ...] = ()


class QuestionAsked(EventBase, frozen=True, tag="question_asked"):
    """A person is asked; the call waits.

    Attributes:
        of: "reviewer" when a model judges in a person's place: no face is asked then.
    """

    turn_id: str
    question_id: str
    call_id: str
    at_ms: int
    question: Question
    of: Literal["person", "reviewer"] = "person"


class QuestionAnswered(EventBase, frozen=True, tag="question_answered"):
    """The answer, or "cancel" when the turn ended first.

    Attributes:
        usage: what it cost to ask a reviewer, where no `Spent` says it.
    """

    turn_id: str
    question_id: str
    at_ms: int
    answer: Answer
    usage: Usage | None = None


class TurnEnded(EventBase, frozen=True, tag="turn_ended"):
    """Last in its turn, exactly once, also after an interrupt or a crash.

    Attributes:
        outcome: "crashed" is written when the thread is opened again; "budget" when tokens, money
            or time were used up.
        error: one or two sentences for a person when the outcome is "failed" or "budget".
        info: the app-server's word for the kind of error.
    """

    turn_id: str
    at_ms: int
    outcome: Literal["completed", "interrupted", "failed", "step_limit", "budget", "crashed"]
    error: str | None = None
    info: str | None = None


class ItemBegan(EventBase, frozen=True, tag="item_began"):
    """The model began an item. Not stored."""

    turn_id: str
    item_id: str
    kind: str
    at_ms: int


class Delta(EventBase, frozen=True, tag="delta"):
    """A piece of an item still being written. Not stored.

    For eyes only: the pieces of one item, joined, equal the text of the `ItemAdded` that closes
    it, so a listener that ignores every delta misses nothing.
    """

    turn_id: str
    item_id: str
    text: str
    channel: Literal["text", "summary", "reasoning"] = "text"
    part: int = 0


class Progress(EventBase, frozen=True, tag="progress"):
    """Output of a running command, as it is written. Not stored."""

    turn_id: str
    call_id: str
    text: str


Event = (
    ThreadStarted
    | ThreadNamed
    | TurnStarted
    | ContextAdded
    | UserSpoke
    | ItemAdded
    | CallStarted
    | CallEnded
    | ProcessEnded
    | StepEnded
    | Spent
    | Retrying
    | Noticed
    | Compacted
    | CompactionUndone
    | Pinned
    | Unpinned
    | SnapshotTaken
    | TurnsUndone
    | UndoUndone
    | HookStarted
    | HookEnded
    | ShellStarted
    | ShellEnded
    | Injected
    | GoalSet
    | GoalCleared
    | QuestionAsked
    | QuestionAnswered
    | TurnEnded
    | ItemBegan
    | Delta
    | Progress
    | ServerTold
)
