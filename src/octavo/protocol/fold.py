"""What events mean: the state of a thread, and which orders are legal.

`Thread.apply` is the whole state machine. A thread is idle or in a turn; a turn is
`TurnStarted (… )* TurnEnded`, ended exactly once; within it the model takes steps, each
`(ItemAdded)* StepEnded`, whose calls get exactly one output each. Outputs may arrive in any order,
also while the step is still being written; the history puts them after the step's items, in the
order of the calls. Resume is this fold over the file; the loop cannot emit what it refuses.

The state is a builder: `apply` changes it in place at O(1) an event, and is otherwise pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from octavo.protocol.events import (
    CallEnded,
    CallStarted,
    Compacted,
    CompactionUndone,
    ContextAdded,
    Delta,
    EditIntent,
    Event,
    GoalCleared,
    GoalSet,
    HookEnded,
    HookStarted,
    Injected,
    ItemAdded,
    ItemBegan,
    Noticed,
    Pinned,
    ProcessEnded,
    Progress,
    QuestionAnswered,
    QuestionAsked,
    Retrying,
    ServerTold,
    ShellEnded,
    ShellStarted,
    SnapshotTaken,
    Spent,
    StepEnded,
    ThreadNamed,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    TurnsUndone,
    UndoUndone,
    Unpinned,
    UserSpoke,
)
from octavo.protocol.state import (
    Beside,
    Entry,
    Missing,
    OpenCall,
    OutOfOrder,
    Spoken,
    Turn,
    TurnNote,
    Unanswered,
    UndoNote,
)
from octavo.protocol.usage import Usage

__all__ = [
    "Entry", "Missing", "OpenCall", "OutOfOrder", "Spoken", "Turn", "TurnNote", "Unanswered",
    "UndoNote",
]  # fmt: skip
"""What is defined elsewhere and belongs here."""


class Thread(Beside):
    """A thread, as its events make it; what it holds is in `state`."""

    def apply(self, event: Event) -> None:
        """Take `event` in.

        Raises:
            OutOfOrder: the event is not legal here; the state is unchanged.
        """
        match event:
            case ItemBegan() | Delta():
                self._running(event.turn_id)
            case Progress():
                if event.call_id not in self.running and event.call_id not in self.shells:
                    self._running(event.turn_id)
                    self._call(event.call_id)
            case ItemAdded():
                self._item_added(event)
            case CallStarted():
                self._call_started(event)
            case CallEnded():
                self._call_ended(event)
                self.labels.update(event.labels)
            case StepEnded():
                self._step_ended(event)
            case ProcessEnded():
                if self.running.pop(event.call_id, self) is self:
                    raise OutOfOrder(f"no command of call {event.call_id} is running")
            case UserSpoke():
                self._user_spoke(event)
            case ContextAdded():
                self._context_added(event)
            case Compacted():
                self._compacted(event)
            case CompactionUndone():
                self._compaction_undone(event)
            case Pinned():
                if event.pin_id in self.pins:
                    raise OutOfOrder(f"{event.pin_id} is pinned already")
                self.pins[event.pin_id] = event.text
            case Unpinned():
                if self.pins.pop(event.pin_id, None) is None:
                    raise OutOfOrder(f"{event.pin_id} is not pinned")
            case Retrying():
                self._running(event.turn_id)
                if self._calls:
                    raise OutOfOrder("an attempt is not repeated once it has made calls")
            case QuestionAsked():
                self._running(event.turn_id)
                self._call(event.call_id)
                if event.question_id in self.questions:
                    raise OutOfOrder(f"question {event.question_id} asked twice")
                self.questions[event.question_id] = event
            case QuestionAnswered():
                self._question_answered(event)
            case HookStarted() | HookEnded():
                self._hook(event)
            case Noticed() | ServerTold():
                pass
            case ShellStarted() | ShellEnded() | Injected():
                self._from_outside(event)
            case GoalSet():
                self._goal_set(event)
            case GoalCleared():
                self.goal = None
            case SnapshotTaken() | TurnsUndone() | UndoUndone():
                self._take_back(event)
            case Spent():
                if event.turn_id is not None:
                    self._running(event.turn_id)
                if event.purpose == "turn" and not event.estimated:
                    self.last_usage = event.usage
                    self._measured = event.usage
                self._count(event.purpose, event.usage, event.nano_usd, estimated=event.estimated)
                if self.goal is not None:
                    self.goal.spent(event.usage)
            case TurnStarted():
                self._turn_started(event)
            case TurnEnded():
                self._turn_ended(event)
            case ThreadStarted():
                if self.started is not None:
                    raise OutOfOrder("the thread started twice")
                self.started = event
            case ThreadNamed():
                self.name = event.name or None
            case _:
                assert_never(event)

    def _call(self, call_id: str) -> OpenCall:
        call = self._calls.get(call_id)
        if call is None:
            raise OutOfOrder(f"call {call_id} is not open")
        return call

    def _turn_started(self, event: TurnStarted) -> None:
        if self.started is None:
            raise OutOfOrder("a turn before its thread")
        if self._turn is not None:
            raise OutOfOrder(f"{event.turn_id} started inside {self._turn.started.turn_id}")
        self._turn = Turn(event, len(self.said), self.cut, len(self.history))
        self.turns.append(self._turn)
        self._turns_by_id[event.turn_id] = self._turn
        self.undone = None
        if self.goal is not None:
            self.goal.turn_started(event.at_ms)

    def _call_started(self, event: CallStarted) -> None:
        self._running(event.turn_id)
        call = self._call(event.call_id)
        if call.began or call.raw is not None:
            raise OutOfOrder(f"call {event.call_id} began twice")
        call.began = True
        if isinstance(event.intent, EditIntent):
            for edit in event.intent.changes:
                path = edit.move_path or edit.path
                self.edited.pop(path, None)  # the latest is last
                self.edited[path] = None

    def _user_spoke(self, event: UserSpoke) -> None:
        self._running(event.turn_id)
        self._between_steps(event)
        self._append_later()
        self.heard += 1
        spoken = Spoken(bytes(event.raw))
        if event.external is not None:  # nothing that the user said
            self.labels.add("untrusted")
            self.labels_at[len(self.history)] = ("untrusted",)
            self.history.append(spoken)
            return
        self.said_at.append(len(self.history))
        self.history.append(spoken)
        self.said.append(spoken.raw)
        if self.first_text is None:
            self.first_text = spoken.raw

    def _context_added(self, event: ContextAdded) -> None:
        self._running(event.turn_id)
        self._between_steps(event)
        if event.key == "goal_turn":  # it is said in a person's place
            self._append_later()
        self.context_at[event.key] = len(self.history)
        self.surroundings.add(len(self.history))
        self.history.append(Spoken(bytes(event.raw)))
        for cut in self.cuts:  # it follows what each of them shows
            cut.context[event.key] = event.digest

    def _question_answered(self, event: QuestionAnswered) -> None:
        self._running(event.turn_id)
        asked = self.questions.pop(event.question_id, None)
        if asked is None:
            raise OutOfOrder(f"question {event.question_id} is not open")
        if event.usage is not None:
            self._count("reviewer", event.usage, None)
        if event.answer.decision == "acceptForSession":
            self.remembered.append(asked.question)

    def _hook(self, event: HookStarted | HookEnded) -> None:
        run_id = event.run.id
        if (run_id in self._hooks) is isinstance(event, HookStarted):
            raise OutOfOrder(f"hook {run_id} started twice, or ended without having started")
        if isinstance(event, HookStarted):
            self._hooks.add(run_id)
            return
        self._hooks.remove(run_id)
        self.labels.update(event.labels)

    def _item_added(self, event: ItemAdded) -> None:
        turn = self._running(event.turn_id)
        if self._calls and not self._step_open:
            raise OutOfOrder("a new step before the calls of the last one were answered")
        if event.call_id is not None:
            if event.call_id in self._known_calls:
                raise OutOfOrder(f"call {event.call_id} made twice")
            self._known_calls.add(event.call_id)
            freeform = event.kind == "custom_tool_call"
            self._calls[event.call_id] = OpenCall(event.call_id, freeform=freeform)
            self._unanswered += 1
        self._step_open = True
        turn.items += 1
        self.history.append(Spoken(bytes(event.raw)))

    def _call_ended(self, event: CallEnded) -> None:
        self._running(event.turn_id)
        call = self._call(event.call_id)
        if call.raw is not None:
            raise OutOfOrder(f"call {event.call_id} answered twice")
        call.raw = bytes(event.raw)
        call.labels = event.labels
        self._unanswered -= 1
        if event.facts is not None and event.facts.running:
            self.running[event.call_id] = None
        self._flush()

    def _step_ended(self, event: StepEnded) -> None:
        self._running(event.turn_id)
        self._step_open = False
        if event.usage is not None:
            self.last_usage = event.usage
            self._count("turn", event.usage, None)
            self._covered(event.usage)
        elif self._measured is not None:
            self._covered(self._measured)
        self._measured = None
        self._flush()

    def _covered(self, usage: Usage) -> None:
        self.cut.covered = len(self.history)
        self.cut.covered_tokens = usage.total_tokens

    def _flush(self) -> None:
        """Append the outputs once the step is over and every call has one."""
        if self._step_open or self._unanswered:
            return
        for call in self._calls.values():
            assert call.raw is not None
            self._answered(call, call.raw)
        self._calls.clear()
        self._append_later()

    def _answered(self, call: OpenCall, raw: bytes) -> None:
        if call.labels:
            self.labels_at[len(self.history)] = call.labels
        self.history.append(Spoken(raw))

    def _turn_ended(self, event: TurnEnded) -> None:
        turn = self._running(event.turn_id)
        self._step_open = False
        for call in self._calls.values():
            if call.raw is not None:
                self._answered(call, call.raw)
            else:
                self.history.append(
                    Unanswered(call.call_id, call.freeform, call.began, event.outcome)
                )
        self._calls.clear()
        self._unanswered = 0
        if self.context_at:
            self._append_later()
        self.questions.clear()
        if event.outcome != "completed":
            self.history.append(TurnNote(event.outcome))
        turn.ended = event
        self._turn = None
        if self.goal is not None:
            self.goal.turn_ended(event.at_ms)


def fold(events: Iterable[Event]) -> Thread:
    """Return the thread that `events` make. Raises OutOfOrder."""
    thread = Thread()
    for event in events:
        thread.apply(event)
    return thread
