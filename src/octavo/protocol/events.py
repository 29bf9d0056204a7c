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

FORMAT = 1
"""Version of the log's format, in its first line."""


class _Event(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    pass


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
    format: int = FORMAT
    git_branch: str | None = None
    git_commit: str | None = None


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


class UserSpoke(_Event, frozen=True, tag="user_spoke"):
    """What the user said, at the start of a turn or steering it."""

    turn_id: str
    item_id: str
    at_ms: int
    raw: msgspec.Raw
    client_id: str | None = None


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


class RunIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="run", omit_defaults=True):
    """A command is about to start."""

    command: str
    cwd: str
    tty: bool = False
    outside: bool = False


class FileEdit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of an edit. Paths are absolute; `diff` is unified, without file headers."""

    path: str
    kind: Literal["add", "delete", "update"]
    diff: str
    move_path: str | None = None


class EditIntent(msgspec.Struct, frozen=True, tag_field="kind", tag="edit", omit_defaults=True):
    """Files are about to change."""

    changes: tuple[FileEdit, ...]


Intent = RunIntent | EditIntent


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
    """

    exit_code: int | None = None
    duration_ms: int | None = None
    running: bool = False
    session_id: int | None = None
    output_path: str | None = None
    declined: bool = False


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
        usage: what it cost; None when the provider did not say.
        cut: it broke off after a call had started; the next request goes on from here.
    """

    turn_id: str
    at_ms: int
    usage: Usage | None = None
    cut: bool = False


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
        usage: what it cost to ask a reviewer.
    """

    turn_id: str
    question_id: str
    at_ms: int
    answer: Answer
    usage: Usage | None = None


class TurnEnded(_Event, frozen=True, tag="turn_ended"):
    """Last in its turn, exactly once, also after an interrupt or a crash.

    Attributes:
        outcome: "crashed" is written when the thread is opened again.
        error: one or two sentences for a person when the outcome is "failed".
        info: the app-server's word for the kind of error.
    """

    turn_id: str
    at_ms: int
    outcome: Literal["completed", "interrupted", "failed", "step_limit", "crashed"]
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


Event = (
    ThreadStarted
    | TurnStarted
    | ContextAdded
    | UserSpoke
    | ItemAdded
    | CallStarted
    | CallEnded
    | ProcessEnded
    | StepEnded
    | Retrying
    | Noticed
    | HookStarted
    | HookEnded
    | QuestionAsked
    | QuestionAnswered
    | TurnEnded
    | ItemBegan
    | Delta
    | Progress
)
