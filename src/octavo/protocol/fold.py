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
from typing import Literal, assert_never

import msgspec

from octavo.protocol.events import (
    CallEnded,
    CallStarted,
    ContextAdded,
    Delta,
    Event,
    HookEnded,
    HookStarted,
    ItemAdded,
    ItemBegan,
    Noticed,
    ProcessEnded,
    Progress,
    QuestionAnswered,
    QuestionAsked,
    Retrying,
    StepEnded,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.questions import Question
from octavo.protocol.usage import Usage

Missing = Literal["interrupted", "failed", "step_limit", "crashed", "completed"]


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


class TurnNote(msgspec.Struct, frozen=True):
    """The place in the history where a turn ended in another way than by being completed."""

    why: Missing


Entry = Spoken | Unanswered | TurnNote


class OpenCall:
    """A call of the running step."""

    __slots__ = ("began", "call_id", "freeform", "raw")

    def __init__(self, call_id: str, *, freeform: bool) -> None:
        self.call_id = call_id
        self.freeform = freeform
        self.began = False
        self.raw: bytes | None = None


class Turn:
    """What is known of one turn."""

    __slots__ = ("ended", "items", "said_before", "started", "usage")

    def __init__(self, started: TurnStarted, said_before: int) -> None:
        self.started = started
        self.said_before = said_before
        """How much the user had said in the thread when it began."""
        self.ended: TurnEnded | None = None
        self.usage = Usage()
        self.items = 0


class Thread:
    """A thread's state after its events so far.

    Attributes:
        started: the first event, or None before it.
        turns: oldest first.
        history: what a prompt is built from, oldest first; only ever appended to.
        context: digest of the latest context item of each key.
        usage: tokens of the whole thread; `last_usage` of the last response.
        running: ids of calls whose command outlived them.
        labels: where what was seen comes from; see `agent.labels`.
        said: what the user said, as it is in the history, oldest first.
        remembered: questions that were answered with a yes for the whole thread.
    """

    def __init__(self) -> None:
        self.started: ThreadStarted | None = None
        self.turns: list[Turn] = []
        self.history: list[Entry] = []
        self.context: dict[str, str] = {}
        self.said: list[bytes] = []
        self.labels: set[str] = set()
        self.usage = Usage()
        self.last_usage: Usage | None = None
        self.running: dict[str, None] = {}
        self.questions: dict[str, QuestionAsked] = {}
        self._hooks: set[str] = set()
        self.remembered: list[Question] = []
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

    def apply(self, event: Event) -> None:
        """Take `event` in.

        Raises:
            OutOfOrder: the event is not legal here; the state is unchanged.
        """
        match event:
            case ItemBegan() | Delta():
                self._running(event.turn_id)
            case Progress():
                if event.call_id not in self.running:
                    self._running(event.turn_id)
                    self._call(event.call_id)
            case ItemAdded():
                self._item_added(event)
            case CallStarted():
                self._running(event.turn_id)
                call = self._call(event.call_id)
                if call.began or call.raw is not None:
                    raise OutOfOrder(f"call {event.call_id} began twice")
                call.began = True
            case CallEnded():
                self._call_ended(event)
                self.labels.update(event.labels)
            case StepEnded():
                self._step_ended(event)
            case ProcessEnded():
                if self.running.pop(event.call_id, self) is self:
                    raise OutOfOrder(f"no command of call {event.call_id} is running")
            case UserSpoke():
                self._running(event.turn_id)
                self._between_steps(event)
                spoken = Spoken(bytes(event.raw))
                self.history.append(spoken)
                self.said.append(spoken.raw)
                if self.first_text is None:
                    self.first_text = spoken.raw
            case ContextAdded():
                self._running(event.turn_id)
                self._between_steps(event)
                self.history.append(Spoken(bytes(event.raw)))
                self.context[event.key] = event.digest
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
                turn = self._running(event.turn_id)
                if event.usage is not None:
                    self.usage = self.usage.plus(event.usage)
                    turn.usage = turn.usage.plus(event.usage)
                asked = self.questions.pop(event.question_id, None)
                if asked is None:
                    raise OutOfOrder(f"question {event.question_id} is not open")
                if event.answer.decision == "acceptForSession":
                    self.remembered.append(asked.question)
            case HookStarted() | HookEnded():
                self._hook(event)
            case Noticed():
                pass
            case TurnStarted():
                if self.started is None:
                    raise OutOfOrder("a turn before its thread")
                if self._turn is not None:
                    raise OutOfOrder(f"{event.turn_id} started inside {self._turn.started.turn_id}")
                self._turn = Turn(event, len(self.said))
                self.turns.append(self._turn)
            case TurnEnded():
                self._turn_ended(event)
            case ThreadStarted():
                if self.started is not None:
                    raise OutOfOrder("the thread started twice")
                self.started = event
            case _:
                assert_never(event)

    def _running(self, turn_id: str) -> Turn:
        if self._turn is None or self._turn.started.turn_id != turn_id:
            raise OutOfOrder(f"turn {turn_id} is not running")
        return self._turn

    def _call(self, call_id: str) -> OpenCall:
        call = self._calls.get(call_id)
        if call is None:
            raise OutOfOrder(f"call {call_id} is not open")
        return call

    def _between_steps(self, event: Event) -> None:
        if self._step_open or self._calls:
            raise OutOfOrder(f"{type(event).__name__} inside a step")

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
        self._unanswered -= 1
        if event.facts is not None and event.facts.running:
            self.running[event.call_id] = None
        self._flush()

    def _step_ended(self, event: StepEnded) -> None:
        turn = self._running(event.turn_id)
        self._step_open = False
        if event.usage is not None:
            self.last_usage = event.usage
            self.usage = self.usage.plus(event.usage)
            turn.usage = turn.usage.plus(event.usage)
        self._flush()

    def _flush(self) -> None:
        """Append the outputs once the step is over and every call has one."""
        if self._step_open or self._unanswered:
            return
        for call in self._calls.values():
            assert call.raw is not None
            self.history.append(Spoken(call.raw))
        self._calls.clear()

    def _turn_ended(self, event: TurnEnded) -> None:
        turn = self._running(event.turn_id)
        self._step_open = False
        for call in self._calls.values():
            if call.raw is not None:
                self.history.append(Spoken(call.raw))
            else:
                self.history.append(
                    Unanswered(call.call_id, call.freeform, call.began, event.outcome)
                )
        self._calls.clear()
        self._unanswered = 0
        self.questions.clear()
        if event.outcome != "completed":
            self.history.append(TurnNote(event.outcome))
        turn.ended = event
        self._turn = None


def fold(events: Iterable[Event]) -> Thread:
    """Return the thread that `events` make. Raises OutOfOrder."""
    thread = Thread()
    for event in events:
        thread.apply(event)
    return thread
