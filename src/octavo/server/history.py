"""Turns and items of a thread that need not be loaded, page by page, straight from its log.

A page costs what is on it, however long the thread is: reading begins at a place where nothing is
open (before a step, or something the user said) next to where the page begins, and goes on until
the page is full. A cursor is the place in the log where an item began, so it holds for good.
Turns whose conversation was undone are not shown, until that is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.errors import UsageError
from octavo.protocol.project import Projection, shell_done
from octavo.protocol.sessions import ItemEntry, ItemsView
from octavo.store.tape import Tape
from octavo.store.undone import Undone

_CHUNK_BYTES = 1 << 16
_TURN_STARTED = b'{"type":"turn_started"'
_TURN_ENDED = b'{"type":"turn_ended"'
_PROCESS_ENDED = b'{"type":"process_ended","call_id":'
_SHELL_ENDED = b'{"type":"shell_ended","item_id":'
_ITEM_ADDED = b'{"type":"item_added"'
_STEP_ENDED = b'{"type":"step_ended"'
_USER_SPOKE = b'{"type":"user_spoke"'

_decode = msgspec.json.Decoder(ev.Event).decode


class Shown(msgspec.Struct):
    """An item at its place: where the event is that began it."""

    at: int
    entry: ItemEntry


class History:
    """The turns and items of one thread.

    Args:
        running: the turn that runs now; an item without an end in another one was cut off.
    """

    def __init__(
        self, thread_id: str, tape: Tape, running: str | None, *, is_held: bool = False
    ) -> None:
        """`is_held`: another process writes the thread, so its last turn may be running there."""
        self._thread_id = thread_id
        self._tape = tape
        self._running = running
        self._is_held = is_held
        self._undone = Undone.of(tape)

    def items(self, start: int, end: int) -> Iterator[Shown]:
        """Yield the items that began from `start` up to `end`, oldest first."""
        open_: dict[str, Shown] = {}
        for shown in self._projected(self._clean_at(start), end, open_):
            if start <= shown.at < end and self._undone.end_of(shown.at) is None:
                yield shown

    def items_back(self, start: int, end: int) -> Iterator[Shown]:
        """Yield the same, latest first."""
        end = min(end, self._tape.size)
        while end > start:
            if (begun := self._undone.start_of(end - 1)) is not None:
                end = begun  # a whole part that is not shown
                continue
            clean = max(start, self._clean_before(end, early=True))
            yield from reversed(list(self.items(clean, end)))
            end = clean

    def close(self, page: list[Shown]) -> None:
        """Say how commands of this page ended that outlived their calls, and their place."""
        late = {
            shown.entry.item.id: shown
            for shown in page
            if isinstance(shown.entry.item, it.CommandExecution)
            and shown.entry.item.status == "inProgress"
        }
        for ending in (_PROCESS_ENDED, _SHELL_ENDED):
            at = min((shown.at for shown in late.values()), default=self._tape.size)
            while late and (at := self._tape.find(ending, at)) >= 0:
                end, line = next(self._tape.lines(at))
                at = end + len(line)
                event = _event(line)
                if isinstance(event, ev.ProcessEnded) and event.call_id in late:
                    _ended(late.pop(event.call_id), event)
                elif isinstance(event, ev.ShellEnded) and event.item_id in late:
                    _ended(late.pop(event.item_id), event)
        if self._running is None:
            for shown in late.values():
                shown.entry = _cut_off(shown.entry)

    def turn_range(self, turn_id: str) -> tuple[int, int]:
        """Return where a turn begins, and where the next one does or the log ends.

        Raises:
            UsageError: there is no such turn.
        """
        wanted = _TURN_STARTED + b',"turn_id":' + msgspec.json.encode(turn_id)
        at = self._tape.find_last(wanted, self._tape.size)
        if at < 0:
            raise UsageError(
                f"There is no turn {turn_id!r} in this thread.",
                hint="`octavo sessions show` lists them.",
            )
        if self._undone.end_of(at) is not None:
            raise UsageError(
                f"Turn {turn_id} was undone.", hint="`octavo undo --redo` takes that back."
            )
        return at, self._turn_end(at)

    def turns(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield where turns begin and end, oldest first, from `start` on."""
        at = self._tape.find(_TURN_STARTED, start)
        while at >= 0:
            if (shown_from := self._undone.end_of(at)) is not None:
                at = self._tape.find(_TURN_STARTED, shown_from)
                continue
            end = self._turn_end(at)
            yield at, end
            at = self._tape.find(_TURN_STARTED, end)

    def turns_back(self, end: int) -> Iterator[tuple[int, int]]:
        """Yield the same, latest first, of those that begin before `end`."""
        at = self._tape.find_last(_TURN_STARTED, end)
        while at >= 0:
            begun = self._undone.start_of(at)
            if begun is None:
                yield at, self._turn_end(at)
            at = self._tape.find_last(_TURN_STARTED, at if begun is None else begun)

    def turn(self, start: int, end: int, view: ItemsView) -> it.Turn | None:
        """Return the turn that is from `start` to `end`; None where its line is damaged."""
        _, line = next(self._tape.lines(start))
        began = _event(line)
        if not isinstance(began, ev.TurnStarted):
            return None
        projection = Projection(self._thread_id)
        turn = _turn_of(projection, began)
        ended = None
        at = self._tape.find_last(_TURN_ENDED, end)
        if at > start:
            ended = _event(next(self._tape.lines(at))[1])
        if isinstance(ended, ev.TurnEnded) and ended.turn_id == began.turn_id:
            turn = _turn_of(projection, ended)
        elif began.turn_id != self._running and not self._runs_elsewhere(end):
            turn = msgspec.structs.replace(turn, status="interrupted")
        if view == "notLoaded":
            return turn
        shown = list(self.items(start, end)) if view == "full" else self._summary(start, end)
        shown = [one for one in shown if one.entry.turn_id == began.turn_id]
        self.close(shown)
        items = tuple(one.entry.item for one in shown)
        return msgspec.structs.replace(turn, items=items, items_view=view)

    def _runs_elsewhere(self, end: int) -> bool:
        """Whether another process writes the thread, and the turn up to `end` is its last."""
        return self._is_held and self._tape.find(_TURN_STARTED, end) < 0

    def _summary(self, start: int, end: int) -> list[Shown]:
        """What the user said first, and what was answered last."""
        found: list[Shown] = []
        for shown in self.items(start, end):
            if not isinstance(shown.entry.item, it.UserMessage):
                break
            found.append(shown)
        for shown in self.items_back(found[-1].at + 1 if found else start, end):
            if isinstance(shown.entry.item, it.AgentMessage):
                return [*found, shown]
        return found

    def _turn_end(self, start: int) -> int:
        following = self._tape.find(_TURN_STARTED, start + 1)
        return self._tape.size if following < 0 else following

    def _projected(self, clean: int, until: int, open_: dict[str, Shown]) -> Iterator[Shown]:
        """Yield items from a clean place on, each when it is as complete as it gets."""
        projection = Projection(self._thread_id)
        step_over = True
        for at, line in self._tape.lines(clean):
            starts = line.startswith((_TURN_STARTED, _USER_SPOKE))
            if starts or (step_over and line.startswith(_ITEM_ADDED)):
                yield from open_.values()  # nothing of them is told any more, but for processes
                open_.clear()
                if at >= until:
                    return
            step_over = line.startswith(_STEP_ENDED) or (
                step_over and not line.startswith(_ITEM_ADDED)
            )
            event = _event(line)
            if event is not None:
                _follow(projection, event, at, open_)
            if isinstance(event, ev.TurnEnded):
                yield from open_.values()
                open_.clear()
        yield from open_.values()

    def _clean_at(self, at: int) -> int:
        """Return the last clean place at or before `at`."""
        if at <= 0:
            return 0
        return self._clean_before(at + 1)

    def _clean_before(self, end: int, *, early: bool = False) -> int:
        """Return the last clean place before `end`, or the first of some; 0: there is none."""
        reach = _CHUNK_BYTES
        while True:
            low = end - reach
            first = 0 if low <= 0 else self._tape.line_at(low)
            found = self._clean(first, end)
            if found:
                return found[0] if early else found[-1]
            if first == 0:
                return 0
            reach *= 4

    def _clean(self, first: int, end: int) -> list[int]:
        step_over = False
        clean: list[int] = []
        for at, line in self._tape.lines(first):
            if at >= end:
                break
            if line.startswith((_TURN_STARTED, _USER_SPOKE)):
                clean.append(at)
                step_over = True
            elif line.startswith(_ITEM_ADDED):
                if step_over:
                    clean.append(at)
                step_over = False
            elif line.startswith(_STEP_ENDED):
                step_over = True
        return clean


def _follow(projection: Projection, event: ev.Event, at: int, open_: dict[str, Shown]) -> None:
    if isinstance(event, ev.ProcessEnded) and event.call_id not in open_:
        return  # its item is of an earlier step: see `close`
    if isinstance(event, ev.ShellEnded) and event.item_id not in open_:
        return
    turn_id = getattr(event, "turn_id", None) or ""
    try:
        told = list(projection(event))
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
        return  # an item of another shape than octavo writes: nothing can be shown of it
    for notification in told:
        if isinstance(notification, note.ItemStarted | note.ItemCompleted):
            item = notification.item
            entry = ItemEntry(
                item, notification.turn_id or turn_id, item.started_at_ms, item.completed_at_ms
            )
            known = open_.get(item.id)
            open_[item.id] = Shown(at if known is None else known.at, entry)


def _event(line: bytes) -> ev.Event | None:
    try:
        event: ev.Event = _decode(line)
        return event
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _turn_of(projection: Projection, event: ev.TurnStarted | ev.TurnEnded) -> it.Turn:
    [turn] = [
        one.turn
        for one in projection(event)
        if isinstance(one, note.TurnStarted | note.TurnCompleted)
    ]
    return turn


def _ended(shown: Shown, event: ev.ProcessEnded | ev.ShellEnded) -> None:
    item = shown.entry.item
    assert isinstance(item, it.CommandExecution)
    if isinstance(event, ev.ShellEnded):
        done = shell_done(item, event)
        shown.entry = msgspec.structs.replace(shown.entry, item=done, completed_at_ms=event.at_ms)
        return
    item = msgspec.structs.replace(
        item,
        status="completed" if event.facts.exit_code == 0 else "failed",
        exit_code=event.facts.exit_code,
        duration_ms=event.facts.duration_ms,
        completed_at_ms=event.at_ms,
    )
    shown.entry = msgspec.structs.replace(shown.entry, item=item, completed_at_ms=event.at_ms)


def _cut_off(entry: ItemEntry) -> ItemEntry:
    assert isinstance(entry.item, it.CommandExecution)
    return msgspec.structs.replace(entry, item=msgspec.structs.replace(entry.item, status="failed"))
