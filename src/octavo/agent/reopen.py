"""A thread out of its log, whatever befell the log.

What was written legally is folded as it is. Where lines are missing, what they must have said is
put in their place (a turn that ends, a call without an output), so that one bad line costs what it
held and nothing after it. The file is not mended: the same log always gives the same thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from octavo.context.outputs import missing_output
from octavo.protocol.events import (
    CallEnded,
    Compacted,
    CompactionUndone,
    ContextAdded,
    Event,
    GoalCleared,
    GoalSet,
    HookEnded,
    HookStarted,
    Injected,
    ItemAdded,
    Noticed,
    Pinned,
    ProcessEnded,
    ServerTold,
    ShellEnded,
    SnapshotTaken,
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
from octavo.protocol.fold import OutOfOrder, Thread
from octavo.store.reading import Reading


def reopen(reading: Reading) -> tuple[Thread, list[str]]:
    """Return the thread that a log describes, and a sentence for whatever was wrong with it."""
    thread = Thread()
    warnings = list(reading.warnings)
    if reading.torn is not None:
        warnings.append("The last event was being written when octavo was stopped; it is lost.")
    for event in reading.events:
        try:
            thread.apply(event)
        except OutOfOrder as failure:
            warnings.append(_bridge(thread, event, failure))
    return thread, warnings


def _bridge(thread: Thread, event: Event, failure: OutOfOrder) -> str:
    """Let what is missing before `event` happen, then `event`; return what to say of it."""
    try:
        for missing in _missing(thread, event):
            thread.apply(missing)
        thread.apply(event)
    except OutOfOrder:
        return f"The log has an event out of order, passed over: {failure}."
    return f"The log lacks what came before an event, which was made up for: {failure}."


def _missing(thread: Thread, event: Event) -> Iterator[Event]:
    """What must have happened before `event`, as far as that can be known."""
    if isinstance(event, ThreadStarted | ProcessEnded | Noticed | HookStarted | HookEnded):
        return
    if isinstance(
        event,
        ShellEnded | Injected | CompactionUndone | Pinned | Unpinned | ThreadNamed | ServerTold,
    ):
        return
    if isinstance(event, SnapshotTaken | TurnsUndone | UndoUndone | GoalSet | GoalCleared):
        return
    running = None if thread.turn is None else thread.turn.started
    if isinstance(event, TurnStarted):
        if running is not None:
            yield TurnEnded(running.turn_id, event.at_ms, "crashed")
        return
    if event.turn_id is None:
        return
    if running is None or running.turn_id != event.turn_id:
        if any(turn.started.turn_id == event.turn_id for turn in thread.turns):
            return  # it ended; nothing can make this legal
        at_ms = _at_ms(event, thread)
        if running is not None:
            yield TurnEnded(running.turn_id, at_ms, "crashed")
        yield _turn_started(thread, event.turn_id, at_ms)
    if not isinstance(event, ItemAdded | UserSpoke | ContextAdded | Compacted):
        return
    at_ms = _at_ms(event, thread)
    if not isinstance(event, ItemAdded) and thread.in_step:
        yield StepEnded(event.turn_id, at_ms)
    if not thread.in_step:
        for call_id, freeform, began in thread.waiting():
            raw = missing_output(call_id, freeform, "crashed", ran=began)
            yield CallEnded(event.turn_id, call_id, at_ms, msgspec.Raw(raw), ok=False)


def _turn_started(thread: Thread, turn_id: str, at_ms: int) -> TurnStarted:
    """How a turn of this thread begins, as the last one did."""
    if thread.turns:
        last = thread.turns[-1].started
        return msgspec.structs.replace(last, turn_id=turn_id, at_ms=at_ms)
    first = thread.started
    if first is None:
        raise OutOfOrder("a turn before its thread")
    return TurnStarted(turn_id, at_ms, first.model, first.provider, first.cwd, "read-only", "never")


def _at_ms(event: Event, thread: Thread) -> int:
    at_ms: int | None = getattr(event, "at_ms", None)
    if at_ms is not None:
        return at_ms
    return thread.turns[-1].started.at_ms if thread.turns else 0
