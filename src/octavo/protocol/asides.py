"""Events beside the steps of a model: compactions, undoing, and what people and clients put in.

`events` has all events; these are a part of them. The history itself is only ever appended to.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.protocol.effects import CallFacts, EventBase
from octavo.protocol.usage import Usage


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


class Compacted(EventBase, frozen=True, tag="compacted"):
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


class CompactionUndone(EventBase, frozen=True, tag="compaction_undone"):
    """The last compaction that still counts does not count any more. May come outside a turn.

    Attributes:
        by: "model" when the model that is asked now cannot read what another one summed up.
    """

    item_id: str
    at_ms: int
    by: Literal["person", "model"] = "person"


class Pinned(EventBase, frozen=True, tag="pinned"):
    """A person wants this text to be before the model at all times. May come outside a turn."""

    pin_id: str
    at_ms: int
    text: str


class Unpinned(EventBase, frozen=True, tag="unpinned"):
    """… and does not any more."""

    pin_id: str
    at_ms: int


class SnapshotTaken(EventBase, frozen=True, tag="snapshot_taken"):
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


class TurnsUndone(EventBase, frozen=True, tag="turns_undone"):
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


class UndoUndone(EventBase, frozen=True, tag="undo_undone"):
    """The last `TurnsUndone` does not count any more; no turn has begun since."""

    at_ms: int


class ShellStarted(EventBase, frozen=True, tag="shell_started"):
    """A person is about to run a command of their own, outside of any cage; see `agent.shell`.

    In a turn: the one that runs, or one of its own. On disk before the effect.
    """

    item_id: str
    turn_id: str
    at_ms: int
    command: str
    cwd: str


class ShellEnded(EventBase, frozen=True, tag="shell_ended"):
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


class Injected(EventBase, frozen=True, tag="injected"):
    """A client put items into the history that nobody said here. May come outside a turn.

    Attributes:
        call_ids: of the calls among them, each of which has its output among them.
    """

    at_ms: int
    raws: tuple[msgspec.Raw, ...]
    call_ids: tuple[str, ...] = ()


GoalStatus = Literal["active", "paused", "blocked", "usageLimited", "budgetLimited", "complete"]
"""The app-server's words. Only an "active" goal is gone after."""


class GoalSet(EventBase, frozen=True, tag="goal_set"):
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


class GoalCleared(EventBase, frozen=True, tag="goal_cleared"):
    """The thread has no goal any more. May come outside a turn."""

    at_ms: int


class External(msgspec.Struct, frozen=True, omit_defaults=True):
    """Another program that said something through a client: its tool's name, and where that is."""

    name: str
    namespace: str | None = None


class ServerTold(EventBase, frozen=True, tag="server_told"):
    """An MCP server of the thread starts, is there, or is not. Not stored. May come outside a turn.

    Attributes:
        error: why it failed, in a sentence.
    """

    name: str
    status: Literal["starting", "ready", "failed", "cancelled"]
    error: str | None = None
