"""What is known of a thread after its events so far, and how it changes beside a model's steps."""

from __future__ import annotations

from typing import Literal

import msgspec

from octavo.protocol.events import (
    Added,
    Compacted,
    CompactionUndone,
    Event,
    GoalSet,
    Injected,
    QuestionAsked,
    ShellEnded,
    ShellStarted,
    SnapshotTaken,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    TurnsUndone,
    UndoUndone,
)
from octavo.protocol.questions import Question
from octavo.protocol.usage import Tally, Usage
from octavo.protocol.view import Cut, is_possible, places, without_later

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.protocol.goals import Goal

Missing = Literal["interrupted", "failed", "step_limit", "budget", "crashed", "completed"]


class OutOfOrder(Exception):
    """An event came where it makes no sense: a bug in whoever emitted it, or a foreign log."""


class Spoken(msgspec.Struct, frozen=True):
    """An entry of the history that has its bytes: a model item as encoded JSON."""

    raw: bytes


class Unanswered(msgspec.Struct, frozen=True):
    """A call that never got its output; whoever assembles a prompt derives one.

    Attributes:
        began: its effect may have begun.
        why: how its turn ended.
    """

    call_id: str
    freeform: bool
    began: bool
    why: Missing


class UndoNote(msgspec.Struct, frozen=True):
    """The place in the history where files were restored, and what was said was not taken back."""

    paths: tuple[str, ...]


class TurnNote(msgspec.Struct, frozen=True):
    """The place in the history where a turn ended in another way than by being completed."""

    why: Missing


Entry = Spoken | Unanswered | TurnNote | UndoNote


class OpenCall:
    """A call of the running step."""

    __slots__ = ("began", "call_id", "freeform", "labels", "raw")

    def __init__(self, call_id: str, *, freeform: bool) -> None:
        self.call_id = call_id
        self.freeform = freeform
        self.began = False
        self.raw: bytes | None = None
        self.labels: tuple[str, ...] = ()


class Turn:
    """What is known of one turn."""

    __slots__ = (
        *("after", "before", "context", "cut", "ended", "first", "hidden_by", "items"),
        *("said_before", "spent", "started", "undone"),
    )

    def __init__(self, started: TurnStarted, said_before: int, cut: Cut, first: int) -> None:
        self.started = started
        self.cut = cut
        self.first = first
        """Number of its first entry of the history; `cut` is what was shown then."""
        self.context = dict(cut.context)
        self.before: dict[str, int] = {}
        """Snapshots of its folders before it changed anything; `after` is after it."""
        self.after: dict[str, int] = {}
        self.undone = False
        self.hidden_by: TurnsUndone | None = None
        """What took the conversation in it back; None while that counts."""
        self.said_before = said_before
        """How much the user had said in the thread when it began."""
        self.ended: TurnEnded | None = None
        self.spent = Tally()
        self.items = 0

    @property
    def usage(self) -> Usage:
        """Tokens of the turn so far."""
        return self.spent.usage


class ThreadState:
    """A thread's state after its events so far.

    Attributes:
        started: the first event, or None before it.
        name: what a person called it, if they did.
        turns: oldest first.
        history: all that was said, oldest first; only ever appended to.
        cut: how much of it a prompt is built from.
        added: the items that compactions put in place of it, all that there ever were.
        context: digest of the latest context item of each key, as far as it is shown.
        context_at: where in the history the latest context item of each key is; all of them are at
            `surroundings`.
        spent: what the whole thread cost; `spent_on` has it apart by purpose, see `events.Spent`.
        last_usage: tokens of the last response in a turn.
        running: ids of calls whose command outlived them; `shells`: of the person's own commands
            that run.
        labels: where what was seen comes from; see `agent.labels`.
        labels_at: the same for single entries of the history; an entry without any is not there.
        said: what the user said, as it is in the history, oldest first; `said_at` is where.
        heard: how often anything was said: by the user, or by another program.
        edited: files that were changed, absolute, the latest last.
        pins: texts that a person pinned, by id.
        remembered: questions that were answered with a yes for the whole thread.
        goal: what it is to reach by itself; `had_goal` stays when that is cleared.
    """

    def __init__(self) -> None:
        self.started: ThreadStarted | None = None
        self.name: str | None = None
        self.turns: list[Turn] = []
        self.history: list[Entry] = []
        self.cuts = [Cut((), 0, {}, None)]
        self.added: list[bytes] = []
        self.context_at: dict[str, int] = {}
        self.surroundings: set[int] = set()
        self.said: list[bytes] = []
        self.said_at: list[int] = []
        self.heard = 0
        self.edited: dict[str, None] = {}
        self.pins: dict[str, str] = {}
        self.labels: set[str] = set()
        self.labels_at: dict[int, tuple[str, ...]] = {}
        self.spent = Tally()
        self.spent_on: dict[str, Tally] = {}
        self.last_usage: Usage | None = None
        self._measured: Usage | None = None
        """What the running step's request was."""
        self.running: dict[str, None] = {}
        self.shells: dict[str, ShellStarted] = {}
        self._later: list[tuple[bytes, tuple[str, ...]]] = []
        """What came in the middle of a step and goes behind it, with its labels; or before the
        first turn, and goes behind what a model is told at its start."""
        self.questions: dict[str, QuestionAsked] = {}
        self._hooks: set[str] = set()
        self.undone: TurnsUndone | None = None
        """What was taken back last, as long as nothing was said since."""
        self._turns_by_id: dict[str, Turn] = {}
        self.remembered: list[Question] = []
        self.goal: Goal | None = None
        self.had_goal = False
        self.first_text: bytes | None = None
        self._turn: Turn | None = None
        self._calls: dict[str, OpenCall] = {}
        self._unanswered = 0
        self._step_open = False
        self._known_calls: set[str] = set()

    @property
    def turn(self) -> Turn | None:
        """The running turn, if any."""
        return self._turn

    @property
    def usage(self) -> Usage:
        """Tokens of the whole thread."""
        return self.spent.usage

    @property
    def cut(self) -> Cut:
        """The last compaction that counts."""
        return self.cuts[-1]

    @property
    def context(self) -> dict[str, str]:
        """Digest of the latest context item of each key, as far as it is shown."""
        return self.cut.context

    @property
    def in_step(self) -> bool:
        """Whether the model's response is still being written."""
        return self._step_open

    def waiting(self) -> list[tuple[str, bool, bool]]:
        """The open calls without an output: id, whether freeform, whether begun."""
        return [(c.call_id, c.freeform, c.began) for c in self._calls.values() if c.raw is None]

    def is_open(self, call_id: str) -> bool:
        """Whether this call of the running step still waits for its output."""
        call = self._calls.get(call_id)
        return call is not None and call.raw is None

    def knows_call(self, call_id: str) -> bool:
        """Whether a call of this thread has this id already."""
        return call_id in self._known_calls

    def _running(self, turn_id: str) -> Turn:
        if self._turn is None or self._turn.started.turn_id != turn_id:
            raise OutOfOrder(f"turn {turn_id} is not running")
        return self._turn

    def _between_steps(self, event: Event) -> None:
        if self._step_open or self._calls:
            raise OutOfOrder(f"{type(event).__name__} inside a step")

    def _idle(self, event: Event) -> None:
        if self._turn is not None:
            raise OutOfOrder(f"{type(event).__name__} while a turn runs")

    def _count(
        self, purpose: str, usage: Usage, nano_usd: int | None, *, estimated: bool = False
    ) -> None:
        def more(tally: Tally) -> Tally:
            return tally.plus(usage, nano_usd, estimated=estimated)

        self.spent = more(self.spent)
        self.spent_on[purpose] = more(self.spent_on.get(purpose, Tally()))
        if self._turn is not None:
            self._turn.spent = more(self._turn.spent)


class Beside(ThreadState):
    """A thread, as far as it changes beside the steps of a model; the rest is in `fold`."""

    def _compacted(self, event: Compacted) -> None:
        self._running(event.turn_id)
        self._between_steps(event)
        if not is_possible(event, len(self.history), len(self.added)):
            raise OutOfOrder("a compaction of another history")
        base = tuple(places(event, len(self.added)))
        self.added += [bytes(part.raw) for part in event.view if isinstance(part, Added)]
        self.cuts.append(Cut(base, event.until, dict(event.context), event))
        if event.usage is not None:
            self._count("compaction", event.usage, None)

    def _compaction_undone(self, event: CompactionUndone) -> None:
        self._between_steps(event)
        made = self.cut.made
        if made is None or made.item_id != event.item_id:
            raise OutOfOrder(f"{event.item_id} is not the last compaction")
        self.cuts.pop()
        self.cut.held = event.by == "person"

    def _take_back(self, event: SnapshotTaken | TurnsUndone | UndoUndone) -> None:
        match event:
            case SnapshotTaken():
                self._snapshot_taken(event)
            case TurnsUndone():
                self._turns_undone(event)
            case UndoUndone():
                self._undo_undone()

    def _snapshot_taken(self, event: SnapshotTaken) -> None:
        turn = self._turns_by_id.get(event.turn_id)
        if turn is None:
            raise OutOfOrder(f"a snapshot of turn {event.turn_id}, which never began")
        kept = turn.before if event.when == "before" else turn.after
        kept[event.root] = event.number

    def _turns_undone(self, event: TurnsUndone) -> None:
        self._idle(event)
        turns = [turn for turn in self.turns if not turn.undone][-len(event.turn_ids) :]
        if not turns or tuple(turn.started.turn_id for turn in turns) != event.turn_ids:
            raise OutOfOrder("only the last turns can be taken back")
        for turn in turns:
            turn.undone = True
        if event.conversation:
            first = turns[0]
            for turn in self.turns[self.turns.index(first) :]:
                turn.hidden_by = turn.hidden_by or event
            since = len(self.history)
            self.cuts.append(without_later(first.cut, first.first, since, dict(first.context)))
        elif event.paths:
            self.history.append(UndoNote(event.paths))
        self.undone = event

    def _undo_undone(self) -> None:
        if self.undone is None or self._turn is not None:
            raise OutOfOrder("there is no undoing that could be undone")
        event, self.undone = self.undone, None
        for turn in self.turns:
            turn.undone = turn.undone and turn.started.turn_id not in event.turn_ids
            if turn.hidden_by is event:
                turn.hidden_by = None
        if event.conversation:
            self.cuts.pop()
        elif event.paths:
            self.history.append(UndoNote(event.paths))

    def _from_outside(self, event: ShellStarted | ShellEnded | Injected) -> None:
        match event:
            case ShellStarted():
                self._running(event.turn_id)
                if event.item_id in self.shells:
                    raise OutOfOrder(f"command {event.item_id} started twice")
                self.shells[event.item_id] = event
                return
            case ShellEnded():
                if self.shells.pop(event.item_id, None) is None:
                    raise OutOfOrder(f"no command {event.item_id} is running")
                self.labels.update(event.labels)
                self._later.append((bytes(event.raw), event.labels))
            case Injected():
                if self.started is None or not self._known_calls.isdisjoint(event.call_ids):
                    raise OutOfOrder("items that cannot be put into this thread")
                self._known_calls.update(event.call_ids)
                self._later += [(bytes(raw), ()) for raw in event.raws]
        if self.context_at and not self._step_open and not self._calls:
            self._append_later()

    def _append_later(self) -> None:
        for raw, labels in self._later:
            if labels:
                self.labels_at[len(self.history)] = labels
            self.history.append(Spoken(raw))
        self._later.clear()

    def _goal_set(self, event: GoalSet) -> None:
        from octavo.protocol.goals import Goal  # few threads have one

        if self.started is None:
            raise OutOfOrder("a goal before its thread")
        self.had_goal = True
        if self.goal is None or self.goal.goal_id != event.goal_id:
            self.goal = Goal(event)
        self.goal.take(event, in_turn=self._turn is not None)
