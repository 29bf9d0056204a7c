"""What is shown of a thread when compactions and their undoing come at any time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.reopen import reopen
from octavo.agent.transcript import Transcript
from octavo.protocol import events as ev
from octavo.protocol.fold import OutOfOrder, Thread, fold
from octavo.store.reading import Reading
from tests.protocol.test_fold import (
    ANY_EVENT,
    STARTED,
    call,
    ended,
    item,
    output,
    raw,
    said,
    step,
    turn,
)


def compacted(
    *view: ev.Shown, until: int, item_id: str = "c", turn_id: str = "1", **context: str
) -> ev.Compacted:
    return ev.Compacted(turn_id, item_id, 0, "local", "asked", until, view, context, 10, 5)


def shown(thread: Thread) -> list[object]:
    return [msgspec.json.decode(item) for item in Transcript(thread).items()]


BEGUN = [STARTED, turn(), said("go"), item("a"), call("b"), step(), output("b")]


def test_what_comes_later_follows_what_a_compaction_shows() -> None:
    summary = ev.Added(raw("summary"))
    thread = fold([*BEGUN, compacted(ev.Kept(0, 1), summary, until=4), item("c")])

    assert shown(thread) == ["go", "summary", "c"]
    assert [msgspec.json.decode(entry.raw) for entry in thread.history] == [
        *("go", "a", "b", "out b", "c")
    ]


def test_undone_what_it_replaced_is_shown_again_and_what_came_since_stays() -> None:
    one, two = ev.Added(raw("one")), ev.Added(raw("two"))
    events: list[ev.Event] = [
        *(*BEGUN, compacted(one, until=4, item_id="c1"), item("c"), step()),
        *(compacted(ev.Again(0), two, until=5, item_id="c2"), item("d"), step()),
    ]
    thread = fold(events)
    assert shown(thread) == ["one", "two", "d"]

    thread.apply(ev.CompactionUndone("c2", 0))
    assert shown(thread) == ["one", "c", "d"]
    thread.apply(ev.CompactionUndone("c1", 0))
    assert shown(thread) == ["go", "a", "b", "out b", "c", "d"]
    assert thread.cut.held


@pytest.mark.parametrize(
    "event",
    [
        compacted(until=3),
        compacted(until=5),
        compacted(ev.Kept(3, 5), until=4),
        compacted(ev.Kept(2, 2), until=4),
        compacted(ev.Kept(-1, 2), until=4),
        compacted(ev.Added(raw("x")), ev.Again(0), until=4),
        compacted(until=4, turn_id="2"),
        ev.CompactionUndone("c", 0),
        ev.Unpinned("p", 0),
    ],
)
def test_a_compaction_of_another_history_does_not_count(event: ev.Event) -> None:
    thread = fold(BEGUN)

    with pytest.raises(OutOfOrder):
        thread.apply(event)

    assert shown(thread) == ["go", "a", "b", "out b"]
    assert (thread.added, len(thread.cuts)) == ([], 1)


def test_inside_a_step_nothing_is_compacted() -> None:
    thread = fold([STARTED, turn(), said("go"), item("a")])

    with pytest.raises(OutOfOrder):
        thread.apply(compacted(until=2))


def test_a_log_that_lost_a_line_before_a_compaction_shows_the_full_history() -> None:
    """Its places would be other ones; better too much than the wrong."""
    events: list[ev.Event] = [*BEGUN, compacted(ev.Kept(0, 1), until=4), item("c"), step(), ended()]
    del events[3]

    thread, warnings = reopen(Reading(events))

    assert shown(thread) == ["go", "b", "out b", "c"]
    assert len(warnings) == 1


def test_an_octavo_that_does_not_know_these_events_reads_a_full_thread() -> None:
    """It passes their lines over; what is left is in order, and is everything that was said."""
    events: list[ev.Event] = [
        *(*BEGUN, ev.Pinned("p", 0, "x"), compacted(ev.Kept(0, 1), until=4), call("c"), step()),
        *(output("c"), ev.CompactionUndone("c", 0), ev.Unpinned("p", 0), item("d"), step()),
        ended(),
    ]
    new = ev.Compacted | ev.CompactionUndone | ev.Pinned | ev.Unpinned

    thread, warnings = reopen(Reading([event for event in events if not isinstance(event, new)]))

    assert warnings == []
    assert shown(thread) == ["go", "a", "b", "out b", "c", "out c", "d"]
    assert thread.history == fold(events).history
    assert isinstance(BEGUN[0], ev.ThreadStarted)
    assert BEGUN[0].format == 1


def test_surroundings_said_in_a_compaction_are_known_and_undone_with_it() -> None:
    def context(key: str, digest: str) -> ev.ContextAdded:
        return ev.ContextAdded("1", key, digest, raw(key))

    thread = fold([STARTED, turn(), context("base", "b1"), context("env", "e1"), item("a"), step()])
    thread.apply(compacted(ev.Kept(0, 1), until=3, base="b1"))
    assert thread.context == {"base": "b1"}
    thread.apply(context("env", "e2"))
    assert thread.context == {"base": "b1", "env": "e2"}
    thread.apply(ev.CompactionUndone("c", 0))
    assert thread.context == {"base": "b1", "env": "e2"}


PIECE = st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 6))
MAKE = st.tuples(st.lists(PIECE, max_size=4), st.text(max_size=3))
BEGIN = st.sampled_from([turn(), said("x"), item("y"), step()])
"""Enough of these that there is often something to compact, and leave to do it."""
UNDO = st.just("undo")


@given(st.lists(st.one_of(ANY_EVENT, BEGIN, MAKE, UNDO), max_size=80))
def test_whatever_comes_what_is_shown_is_what_the_last_compaction_says_and_all_since(
    moves: list[object],
) -> None:
    """Beside the fold runs a simple account of the same: whole lists, copied."""
    thread = fold([STARTED])
    transcript = Transcript(thread)
    stack: list[tuple[list[bytes | None], int]] = [([], 0)]
    added: list[bytes] = []
    accepted: list[ev.Event] = [STARTED]
    for number, move in enumerate(moves):
        event, view = _event(move, thread, number, added)
        if event is None:
            continue
        history = list(thread.history)
        try:
            thread.apply(event)
        except OutOfOrder:
            assert thread.history == history
            continue
        accepted.append(event)
        assert thread.history[: len(history)] == history  # never changed, whatever is shown
        if isinstance(event, ev.Compacted):
            stack.append(([transcript.at(place) for place in view], len(thread.history)))
            added += [bytes(part.raw) for part in event.view if isinstance(part, ev.Added)]
        elif isinstance(event, ev.CompactionUndone):
            stack.pop()
        base, since = stack[-1]
        now = [*base, *map(transcript.encoded, thread.history[since:])]
        assert transcript.items() == [item for item in now if item is not None]

    # Read back from its log, the thread is the same.
    again = fold(msgspec.json.decode(msgspec.json.encode(accepted), type=list[ev.Event]))
    assert Transcript(again).items() == transcript.items()
    assert again.context == thread.context


def _event(
    move: object, thread: Thread, number: int, added: list[bytes]
) -> tuple[ev.Event | None, list[int]]:
    if move == "undo":
        made = thread.cut.made
        return (None if made is None else ev.CompactionUndone(made.item_id, 0)), []
    if not isinstance(move, tuple):
        assert isinstance(move, ev.Event)
        return move, []
    ranges, text = move
    view: list[ev.Shown] = [ev.Added(raw(text))]
    places = [~len(added)]
    for again, first, size in ranges:
        until = min(first + size, len(thread.history))
        if again and first < len(added):
            view.append(ev.Again(first))
            places.append(~first)
        elif first < until:
            view.append(ev.Kept(first, until))
            places += range(first, until)
    turn_id = "1" if thread.turn is None else thread.turn.started.turn_id
    event = compacted(
        *view, until=len(thread.history), item_id=f"c{number}", turn_id=turn_id, key=text
    )
    return event, places
