"""Threads that are not loaded, through the protocol: found, read, named, put away, forked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from octavo.agent.reopen import reopen
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol import sessions as s
from octavo.protocol.events import Event, ForkedFrom, TurnStarted
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.store import forks
from octavo.store.find import find
from octavo.store.forks import read_thread
from octavo.store.reading import read
from octavo.store.rollout import Rollout
from octavo.trial.scripted import call, say
from tests.scenarios.playing import Play, playing
from tests.store.logs import add_turn, write_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def home(workspace: Path) -> Path:
    return workspace.parent / "octavo-home"


async def refused(play: Play, method: m.Method[Any, Any], params: Any) -> str:
    with pytest.raises(RpcError) as error:
        await play.client.call(method, params)
    return error.value.message


def one(thread_id: str) -> m.ThreadIdParams:
    return m.ThreadIdParams(thread_id)


async def listed(play: Play, **params: Any) -> list[str]:
    page = await play.client.call(m.THREAD_LIST, m.ThreadListParams(**params))
    return [thread.id for thread in page.data]


def spoken(item: it.ThreadItem) -> str:
    """What a message of the user's says."""
    assert isinstance(item, it.UserMessage)
    [part] = item.content
    assert isinstance(part, Text)
    return part.text


def turn_of(event: Event) -> str:
    assert isinstance(event, TurnStarted)
    return event.turn_id


async def test_a_list_is_paged_and_a_thread_that_runs_is_shown_so(
    workspace: Path, home: Path
) -> None:
    old = [write_thread(home, (f"old {n}", "x"), at_ms=n * 10**6)[0] for n in range(5)]
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with playing([wait, say("Done.")], workspace) as play:
        turn = await play.begin("one")
        await play.until_item(True, it.CommandExecution)
        first = await play.client.call(m.THREAD_LIST, m.ThreadListParams(2))
        rest = await play.client.call(
            m.THREAD_LIST, m.ThreadListParams(9, cursor=first.next_cursor)
        )
        back = await listed(play, cursor=rest.backwards_cursor, sort_direction="asc")
        turns = await play.client.call(s.TURNS_LIST, s.TurnsListParams(play.thread_id))
        bad = await refused(play, m.THREAD_LIST, m.ThreadListParams(cursor="x"))
        (workspace / "go").touch()
        await play.ended(turn)

    assert [t.id for t in first.data] == [play.thread_id, old[4]]
    assert [t.status.type_ for t in first.data] == ["active", "notLoaded"]
    assert ([t.id for t in rest.data], rest.next_cursor) == (old[3::-1], None)
    assert back == [old[4], play.thread_id]
    assert [(t.id, t.status) for t in turns.data] == [(turn, "inProgress")]
    assert "not a cursor" in bad


async def test_a_name_is_told_kept_and_found(workspace: Path) -> None:
    async with playing([say("a"), say("b")], workspace) as play:
        await play.turn("hi")
        await play.client.call(
            s.THREAD_SET_NAME, s.ThreadSetNameParams(play.thread_id, " My\n one ")
        )
        told = await play.until(note.ThreadNameUpdated)
        thread_id = play.thread_id
        loaded = await play.client.call(s.THREAD_READ, s.ThreadReadParams(thread_id))
        empty = await refused(play, s.THREAD_SET_NAME, s.ThreadSetNameParams(thread_id, " \n"))
    async with playing([], workspace, start=False) as play:
        found = await listed(play, search_term="my one")
        await play.client.call(s.THREAD_SET_NAME, s.ThreadSetNameParams(thread_id[:18], "Two"))
        resumed = await play.resume(thread_id)

    assert told == note.ThreadNameUpdated(thread_id, "My one")
    assert (loaded.thread.name, found, resumed.thread.name) == ("My one", [thread_id], "Two")
    assert "cannot be empty" in empty


async def test_an_archived_thread_is_kept_apart(workspace: Path) -> None:
    async with playing([say("a"), say("b")], workspace) as play:
        await play.turn("hi")
        thread_id = play.thread_id
        await play.client.call(s.THREAD_ARCHIVE, one(thread_id))
        await play.until(note.ThreadArchived, thread_id=thread_id)
        gone, kept = await listed(play), await listed(play, archived=True)
        with pytest.raises(RpcError, match="is archived"):
            await play.resume(thread_id)
        back = await play.client.call(s.THREAD_UNARCHIVE, one(thread_id))
        await play.resume(thread_id)
        await play.turn("again")

    assert (gone, kept, back.thread.id) == ([], [thread_id], thread_id)
    assert "hi" in str(play.requests()[-1]["input"])


async def test_a_thread_that_is_in_use_is_not_touched(workspace: Path, home: Path) -> None:
    thread_id, path = write_thread(home, ("hi", "x"))
    before = path.read_bytes()
    wait = call("exec_command", cmd="while [ ! -e go ]; do sleep 0.01; done")
    async with playing([wait, say("Done.")], workspace) as play:
        with Rollout.open(path):
            said = [
                await refused(play, s.THREAD_DELETE, one(thread_id)),
                await refused(play, s.THREAD_ARCHIVE, one(thread_id)),
                await refused(play, s.THREAD_SET_NAME, s.ThreadSetNameParams(thread_id, "x")),
            ]
        turn = await play.begin("one")
        await play.until_item(True, it.CommandExecution)
        running = await refused(play, s.THREAD_DELETE, one(play.thread_id))
        (workspace / "go").touch()
        await play.ended(turn)

    assert all("in use by process" in text for text in said)
    assert "A turn is running" in running
    assert path.read_bytes() == before


async def test_a_deleted_thread_is_gone_with_its_outputs_but_not_while_it_is_a_beginning(
    workspace: Path, home: Path
) -> None:
    thread_id, path = write_thread(home, ("hi", "x"), cwd=str(workspace))
    outputs = home / "outputs" / thread_id
    outputs.mkdir(parents=True)
    (outputs / "call.log").write_text("long")
    async with playing([], workspace, start=False) as play:
        forked = await play.client.call(s.THREAD_FORK, s.ThreadForkParams(thread_id))
        needed = await refused(play, s.THREAD_DELETE, one(thread_id))
        assert path.exists()
        await play.client.call(s.THREAD_DELETE, one(forked.thread.id))
        await play.client.call(s.THREAD_DELETE, one(thread_id))
        await play.until(note.ThreadDeleted, thread_id=thread_id)
        left = await listed(play)
        again = await refused(play, s.THREAD_DELETE, one(thread_id))

    assert f"is the beginning of 1 other thread: {forked.thread.id}" in needed
    assert (left, path.exists(), outputs.exists()) == ([], False, False)
    assert "There is no thread" in again


async def test_a_fork_goes_on_from_a_turn_and_copies_nothing(workspace: Path, home: Path) -> None:
    script = [say("one"), say("two"), say("three"), say("four"), say("five")]
    async with playing(script, workspace) as play:
        parent = play.thread_id
        first = (await play.turn("first")).id
        await play.turn("second")
        log = find(home, parent)
        before = log.read_bytes()
        forked = await play.client.call(s.THREAD_FORK, s.ThreadForkParams(parent, first))
        play.thread_id = forked.thread.id
        await play.turn("other")
        again = await play.client.call(s.THREAD_FORK, s.ThreadForkParams(forked.thread.id))
    async with playing([say("six")], workspace, start=False) as second:
        await second.resume(again.thread.id)
        await second.turn("last")
        turns = await second.client.call(
            s.TURNS_LIST, s.TurnsListParams(again.thread.id, sort_direction="asc")
        )
        row = (await second.client.call(s.THREAD_READ, s.ThreadReadParams(again.thread.id))).thread
        sent = str(second.requests()[-1]["input"])
    async with playing([], workspace, start=False) as third:
        page = await third.client.call(m.THREAD_LIST, m.ThreadListParams())

    for thread in page.data:
        assert thread.path is not None
        folded, warnings = reopen(read_thread(home, Path(thread.path)))
        assert warnings == []
        assert thread.octavo_tokens == folded.usage.total_tokens > 0
        assert thread.octavo_turns == len(folded.turns)
    assert log.read_bytes() == before
    assert forked.thread.forked_from_id == parent
    assert (row.preview, row.octavo_turns) == ("first", 3)
    inherited = find(home, forked.thread.id).read_bytes()
    assert b"first" not in inherited
    assert [spoken(turn.items[0]) for turn in turns.data] == ["first", "other", "last"]
    assert all(word in sent for word in ("first", "one", "other", "three", "last"))
    assert "second" not in sent
    assert play.requests()[-1]["prompt_cache_key"] != play.requests()[0]["prompt_cache_key"]


async def test_what_cannot_be_forked_is_said(workspace: Path, home: Path) -> None:
    thread_id, path = write_thread(home, ("hi", "x"), cwd=str(workspace))
    moved, _ = write_thread(home, ("hi", "x"), cwd="/no/such/place")
    empty, _ = write_thread(home, cwd=str(workspace))
    newer, newer_path = write_thread(home, ("hi", "x"))
    newer_log = newer_path.read_bytes()
    newer_path.write_bytes(
        newer_log.replace(b'"thread_started"', b'"thread_started","format":99', 1)
    )
    deep = thread_id
    turn = turn_of(forks.read_thread(home, path).events[1])
    base = ForkedFrom(thread_id, turn, path.stat().st_size)
    for depth in range(1, forks.MAX_DEPTH + 1):
        base = ForkedFrom(base.thread_id, base.turn_id, base.end_bytes, depth)
        deep, log = write_thread(home, ("more", "x"), cwd=str(workspace), forked_from=base)
        last = turn_of(read(log).events[1])
        base = ForkedFrom(deep, last, log.stat().st_size)
    files = sorted(str(p) for p in home.rglob("*.jsonl"))
    async with playing([], workspace, start=False) as play:

        async def why(thread_id: str, turn_id: str | None = None) -> str:
            return await refused(play, s.THREAD_FORK, s.ThreadForkParams(thread_id, turn_id))

        assert "no turn 'nope' has ended in it" in await why(thread_id, "nope")
        assert "/no/such/place, which is not there any more" in await why(moved)
        assert "no turn has ended in it yet" in await why(empty)
        assert "newer octavo" in await why(newer)
        assert "more than 32 threads in a row" in await why(deep)
        assert "threads begin with '0" in await why(thread_id[:2])
        read_deep = await play.client.call(s.THREAD_READ, s.ThreadReadParams(deep, True))

    assert len(read_deep.thread.turns) == forks.MAX_DEPTH + 1
    assert sorted(str(p) for p in home.rglob("*.jsonl")) == files


async def test_a_fork_whose_beginning_is_gone_or_changed_says_so(
    workspace: Path, home: Path
) -> None:
    parent, path = write_thread(home, ("hi", "x"), ("more", "y"), cwd=str(workspace))
    async with playing([], workspace, start=False) as play:
        forked = (await play.client.call(s.THREAD_FORK, s.ThreadForkParams(parent))).thread.id
    async with playing([], workspace, start=False) as play:
        whole = path.read_bytes()
        path.write_bytes(whole[:-40])
        with pytest.raises(RpcError, match="is not what it was then"):
            await play.resume(forked)
        path.unlink()
        with pytest.raises(RpcError, match=f"goes on from thread {parent}, whose log is not"):
            await play.resume(forked)
        assert "whose log is not" in await refused(play, s.TURNS_LIST, s.TurnsListParams(forked))
        assert forked in await listed(play)
        path.write_bytes(whole)
        assert (await play.resume(forked)).thread.id == forked


async def test_items_and_turns_come_in_pages(workspace: Path, home: Path) -> None:
    thread_id, path = write_thread(home, *((f"q{n}", f"a{n}") for n in range(4)))
    with Rollout.open(path) as log:
        last = add_turn(log, "q4", "a4")
    async with playing([], workspace, start=False) as play:

        async def items(**params: Any) -> s.ItemsListResult:
            return await play.client.call(s.ITEMS_LIST, s.ItemsListParams(thread_id, **params))

        def texts(page: s.ItemsListResult) -> list[str]:
            return [
                e.item.text if isinstance(e.item, it.AgentMessage) else spoken(e.item)
                for e in page.data
            ]

        first = await items(limit=3)
        second = await items(limit=3, cursor=first.next_cursor)
        newest = await items(limit=2, sort_direction="desc")
        before = await items(cursor=newest.next_cursor, sort_direction="desc", limit=2)
        forward = await items(cursor=before.backwards_cursor)
        turn = await items(turn_id=last)
        anchor = s.ItemAnchor(turn.data[0].item.id, "item")
        after = await items(turn_id=last, cursor=anchor)
        page = await play.client.call(s.TURNS_LIST, s.TurnsListParams(thread_id, limit=2))
        rest = await play.client.call(
            s.TURNS_LIST, s.TurnsListParams(thread_id, page.next_cursor, items_view="notLoaded")
        )
        no_turn = await refused(play, s.ITEMS_LIST, s.ItemsListParams(thread_id, "nope"))
        bad = await refused(play, s.ITEMS_LIST, s.ItemsListParams(thread_id, cursor="-1"))

    assert (texts(first), texts(second)) == (["q0", "a0", "q1"], ["a1", "q2", "a2"])
    assert (texts(newest), texts(before)) == (["a4", "q4"], ["a3", "q3"])
    assert texts(forward) == ["q4", "a4"]
    assert (texts(turn), texts(after), after.next_cursor) == (["q4", "a4"], ["a4"], None)
    assert [t.items_view for t in (*page.data, *rest.data)] == ["summary"] * 2 + ["notLoaded"] * 3
    assert [len(t.items) for t in page.data] == [2, 2]
    assert (page.data[0].id, page.data[0].status, page.data[0].duration_ms) == (
        last,
        "completed",
        5,
    )
    assert "There is no turn 'nope'" in no_turn
    assert "not a cursor" in bad


async def test_search_says_what_was_found_and_pages(workspace: Path, home: Path) -> None:
    for n in range(3):
        write_thread(home, (f"apple {n}", "pie"), at_ms=10**12 + n)
    async with playing([], workspace, start=False) as play:
        found = await play.client.call(s.SEARCH, s.SearchParams("apple", limit=2))
        rest = await play.client.call(
            s.SEARCH, s.SearchParams("apple", limit=2, cursor=found.next_cursor)
        )
        nothing = await refused(play, s.SEARCH, s.SearchParams("  "))
        rebuilt = await play.client.call(s.INDEX_REBUILD, m.Nothing())

    assert [hit.snippet for hit in (*found.data, *rest.data)] == ["apple 2", "apple 1", "apple 0"]
    assert rest.next_cursor is None
    assert "nothing to search for" in nothing
    assert (rebuilt.threads, rebuilt.messages, rebuilt.stored) == (3, 6, True)
