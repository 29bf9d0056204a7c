"""What happens in a thread: the lines of its log, and the only source of its state.

Every event is one line of the log and is frozen once written, `Delta` and `Progress` apart, which
are for eyes only and never stored. The log holds each model item exactly as it is sent to a model
(`raw`), once; what a face shows is derived from it (`project`). The legal orders are in `fold`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.protocol.hooks import HookRun
from octavo.protocol.questions import Answer, Question
from octavo.protocol.usage import Usage

FORMAT = 2
"""The newest version of the log's format that is understood. The first line of a log says which
one it needs: 2 when it begins in another log (`ForkedFrom`), else 1."""


class _Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    pass


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


class ThreadStarted(_Event, frozen=True, tag="thread_started"):
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


class ThreadNamed(_Event, frozen=True, tag="thread_named"):
    """A person gave the thread a name; an empty one takes it away. May come outside a turn."""

    at_ms: int
    name: str


class TurnStarted(_Event, frozen=True, tag="turn_started"):
    """The settings this turn runs under; whatever differs from the last turn took effect here."""

    turn_id: str
    at_ms: int
    model: str
    provider: str
    cwd: str
    sandbox: str
    approval: str
    effort: str | None = None


class ContextAdded(_Event, frozen=True, tag="context_added"):
    """A model item that octavo adds by itself: instructions, environment, what changed in them.

    Attributes:
        key: what it describes; a later item with the same key replaces it in the model's eyes.
        digest: of the described state, so that an unchanged state is not said again.
    """

    turn_id: str
    key: str
    digest: str
    raw: msgspec.Raw


class External(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another program that said something through a client: its tool's name, and where that is."""

    name: str
    namespace: str | None = None


class UserSpoke(_Event, frozen=True, tag="user_spoke"):
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


class ItemAdded(_Event, frozen=True, tag="item_added"):
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


class GitMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a repository stood before git was to change it; see `workspace.git_mark`.

    Attributes:
        top: of the work tree, absolute.
        head: the ref that is checked out, or the commit itself.
        commit: what that is; None before the first.
        refs: a digest of all refs; `index` of the index.
    """

    top: str
    head: str
    commit: str | None
    refs: str
    index: str


class RunIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="run", omit_defaults=True):
    """A command is about to start.

    Attributes:
        git: where the repository stands, when the command is nothing but plain git.
    """

    command: str
    cwd: str
    tty: bool = False
    outside: bool = False
    git: GitMark | None = None


class FileEdit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of an edit. Paths are absolute; `diff` is unified, without file headers."""

    path: str
    kind: Literal["add", "delete", "update"]
    diff: str
    move_path: str | None = None


class FileMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a file is before an edit and will be after it: digests, None where there is no file."""

    path: str
    before: str | None = None
    after: str | None = None


class EditIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="edit", omit_defaults=True):
    """Files are about to change.

    Attributes:
        changes: as people are shown them.
        files: as they can be told apart after a crash; none in older logs.
    """

    changes: tuple[FileEdit, ...]
    files: tuple[FileMark, ...] = ()


class ToolIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="tool", omit_defaults=True):
    """A tool of an MCP server is about to be called.

    Attributes:
        reads: it only reads, as its server says and a person agreed to.
    """

    server: str
    tool: str
    reads: bool = False


Intent = RunIntent | EditIntent | ToolIntent


class CallStarted(_Event, frozen=True, tag="call_started"):
    """A call is about to have an effect. On disk before the effect."""

    turn_id: str
    call_id: str
    at_ms: int
    intent: Intent


class CallFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a command did, beyond what the model is told.

    Attributes:
        running: it outlived its call; a `ProcessEnded` follows.
        session_id: the number the model knows it by.
        exit_code: 128 + n when signal n ended it.
        output_path: file with the whole output, when the model saw only a part.
        declined: a person or the policy said no.
        found: octavo stopped while the call was open; this is what came of it, as far as that could
            be seen when the thread was opened again.
    """

    exit_code: int | None = None
    duration_ms: int | None = None
    running: bool = False
    session_id: int | None = None
    output_path: str | None = None
    declined: bool = False
    found: Literal["done", "not_done", "partly", "unknown"] | None = None


class CallEnded(_Event, frozen=True, tag="call_ended"):
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


class ProcessEnded(_Event, frozen=True, tag="process_ended"):
    """A command that outlived its call has ended. May come outside a turn."""

    call_id: str
    at_ms: int
    facts: CallFacts


class StepEnded(_Event, frozen=True, tag="step_ended"):
    """The model's response is over; no more items of it follow.

    Attributes:
        usage: what it cost, in logs from before there was `Spent`.
        cut: it broke off after a call had started; the next request goes on from here.
    """

    turn_id: str
    at_ms: int
    usage: Usage | None = None
    cut: bool = False


class Spent(_Event, frozen=True, tag="spent"):
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


class Retrying(_Event, frozen=True, tag="retrying"):
    """An attempt failed and is repeated; what was being written is void."""

    turn_id: str
    at_ms: int
    message: str
    attempt: int
    of: int
    info: str = "other"
    status: int | None = None


class Noticed(_Event, frozen=True, tag="noticed"):
    """Something a person should know that ends nothing: a warning, one sentence."""

    at_ms: int
    message: str
    turn_id: str | None = None
    code: str | None = None
    """For programs: "sandbox.none" where no command can run; "files.later" where files that run
    later were changed; "hooks.skipped" where a hook is not used."""


class HookStarted(_Event, frozen=True, tag="hook_started"):
    """A hook is about to run. May come outside a turn."""

    at_ms: int
    run: HookRun
    turn_id: str | None = None


class HookEnded(_Event, frozen=True, tag="hook_ended"):
    """A hook is over, and nothing of it is left; also when its turn was interrupted.

    Attributes:
        labels: of what it said to the model; see `CallEnded`.
    """

    at_ms: int
    run: HookRun
    turn_id: str | None = None
    labels: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, tag_field="kind", tag="kept"):
    """Entries of the history that are still shown: from `first` up to, not including, `until`."""

    first: int
    until: int


class Added(msgspec.Struct, frozen=True, tag_field="kind", tag="added"):
    """A model item that is shown and was never part of the history: a summary, a note."""

    raw: msgspec.Raw


class Again(msgspec.Struct, frozen=True, tag_field="kind", tag="again"):
    """What an earlier compaction added, by its number among all that were added, from 0."""

    number: int


Shown = Kept | Added | Again


class Dropped(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much of what was shown before a compaction is not shown after it."""

    items: int = 0
    outputs: int = 0
    """How many of the items were outputs of calls."""
    user_messages: int = 0
    tokens: int = 0


class Compacted(_Event, frozen=True, tag="compacted"):
    """From now on `view` is what a model is shown for everything before. Nothing else changes.

    Attributes:
        item_id: of the item that faces show.
        kind: "local" and "remote" hold a summary, "trimmed" holds only notes of what was left out.
        trigger: "auto" as the window filled up, "asked" by a person, "refused" by the provider.
        until: how many entries the history had. With another number the event does not count: the
            places in `view` would be other ones.
        view: what is shown, in order; what comes later follows it.
        context: digests of what `view` says of the surroundings, by key.
        before_tokens: about how much was shown before; `after_tokens` is shown now.
        model: whose summary it is; one of the kind "remote" can be read by no other.
        failure: why there is no summary, where there should be one.
        usage: what it cost, attempts that failed included.
    """

    turn_id: str
    item_id: str
    at_ms: int
    kind: Literal["local", "remote", "trimmed"]
    trigger: Literal["auto", "asked", "refused"]
    until: int
    view: tuple[Shown, ...]
    context: dict[str, str]
    before_tokens: int
    after_tokens: int
    dropped: Dropped = Dropped()
    model: str = ""
    provider: str = ""
    failure: str | None = None
    usage: Usage | None = None


class CompactionUndone(_Event, frozen=True, tag="compaction_undone"):
    """The last compaction that still counts does not count any more. May come outside a turn.

    Attributes:
        by: "model" when the model that is asked now cannot read what another one summed up.
    """

    item_id: str
    at_ms: int
    by: Literal["person", "model"] = "person"


class Pinned(_Event, frozen=True, tag="pinned"):
    """A person wants this text to be before the model at all times. May come outside a turn."""

    pin_id: str
    at_ms: int
    text: str


class Unpinned(_Event, frozen=True, tag="unpinned"):
    """… and does not any more."""

    pin_id: str
    at_ms: int


class SnapshotTaken(_Event, frozen=True, tag="snapshot_taken"):
    """What the files of a workspace were is kept. One after a turn comes when the turn is over.

    Attributes:
        root: the folder.
        number: among the snapshots of this folder.
    """

    turn_id: str
    at_ms: int
    root: str
    number: int
    when: Literal["before", "after"]


class RestoredFolder(msgspec.Struct, frozen=True):
    """A folder whose files were restored: its snapshots before and after that."""

    root: str
    before: int
    after: int


class TurnsUndone(_Event, frozen=True, tag="turns_undone"):
    """Turns were taken back, out of turn: what they did to files, what was said in them, or both.

    Attributes:
        turn_ids: oldest first, up to the last turn that was not taken back before.
        folders: whose files were restored.
        paths: of the files that were restored, so many that a person can look them over.
        conversation: the model is not shown these turns any more.
    """

    at_ms: int
    turn_ids: tuple[str, ...]
    folders: tuple[RestoredFolder, ...] = ()
    paths: tuple[str, ...] = ()
    conversation: bool = False


class UndoUndone(_Event, frozen=True, tag="undo_undone"):
    """The last `TurnsUndone` does not count any more; no turn has begun since."""

    at_ms: int


class ShellStarted(_Event, frozen=True, tag="shell_started"):
    """A person is about to run a command of their own, outside of any cage; see `agent.shell`.

    In a turn: the one that runs, or one of its own. On disk before the effect.
    """

    item_id: str
    turn_id: str
    at_ms: int
    command: str
    cwd: str


class ShellEnded(_Event, frozen=True, tag="shell_ended"):
    """It is over, in the same turn, a later one, or outside of any.

    Attributes:
        raw: what the model is told of it: a message whose last part is the output.
        labels: see `CallEnded`.
    """

    item_id: str
    at_ms: int
    facts: CallFacts
    raw: msgspec.Raw
    labels: tuple[str, ...] = ()


class Injected(_Event, frozen=True, tag="injected"):
    """A client put items into the history that nobody said here. May come outside a turn.

    Attributes:
        call_ids: of the calls among them, each of which has its output among them.
    """

    at_ms: int
    raws: tuple[msgspec.Raw, ...]
    call_ids: tuple[str, ...] = ()


GoalStatus = Literal["active", "paused", "blocked", "usageLimited", "budgetLimited", "complete"]
"""The app-server's words. Only an "active" goal is gone after."""


class GoalSet(_Event, frozen=True, tag="goal_set"):
    """What the thread is to reach by itself, or what became of that. May come outside a turn.

    Attributes:
        goal_id: another one than before: it is another goal, and nothing was spent on it yet.
        token_budget: of uncached input and output; None: no limit.
        by: who said so: "octavo" where it stopped going on.
        reason: one sentence for a person, where octavo stopped.
    """

    goal_id: str
    at_ms: int
    objective: str
    status: GoalStatus = "active"
    token_budget: int | None = None
    by: Literal["person", "model", "octavo"] = "person"
    reason: str | None = None


class GoalCleared(_Event, frozen=True, tag="goal_cleared"):
    """The thread has no goal any more. May come outside a turn."""

    at_ms: int


class QuestionAsked(_Event, frozen=True, tag="question_asked"):
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


class QuestionAnswered(_Event, frozen=True, tag="question_answered"):
    """The answer, or "cancel" when the turn ended first.

    Attributes:
        usage: what it cost to ask a reviewer, where no `Spent` says it.
    """

    turn_id: str
    question_id: str
    at_ms: int
    answer: Answer
    usage: Usage | None = None


class TurnEnded(_Event, frozen=True, tag="turn_ended"):
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


class ItemBegan(_Event, frozen=True, tag="item_began"):
    """The model began an item. Not stored."""

    turn_id: str
    item_id: str
    kind: str
    at_ms: int


class Delta(_Event, frozen=True, tag="delta"):
    """A piece of an item still being written. Not stored.

    For eyes only: the pieces of one item, joined, equal the text of the `ItemAdded` that closes
    it, so a listener that ignores every delta misses nothing.
    """

    turn_id: str
    item_id: str
    text: str
    channel: Literal["text", "summary", "reasoning"] = "text"
    part: int = 0


class Progress(_Event, frozen=True, tag="progress"):
    """Output of a running command, as it is written. Not stored."""

    turn_id: str
    call_id: str
    text: str


class ServerTold(_Event, frozen=True, tag="server_told"):
    """An MCP server of the thread starts, is there, or is not. Not stored. May come outside a turn.

    Attributes:
        error: why it failed, in a sentence.
    """

    name: str
    status: Literal["starting", "ready", "failed", "cancelled"]
    error: str | None = None


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
