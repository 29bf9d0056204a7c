"""Pages of turns and items, against what the whole log says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.fold import Thread, fold
from octavo.protocol.ids import new_id
from octavo.protocol.project import Projection
from octavo.server import history
from octavo.server.history import History
from octavo.store import shelf, tape, undone
from octavo.store.find import thread_id_of
from octavo.store.forks import read_thread
from octavo.store.rollout import Rollout
from octavo.store.tape import Tape
from tests.sampling import sample
from tests.store.logs import AT_MS, raw

Outcome = Literal["completed", "crashed", "interrupted"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "crashed", "interrupted")


class Writer:
    """Writes a legal thread at random: calls side by side, commands that stay, crashes."""

    def __init__(self, log: Rollout, chance: random.Random, thread: Thread) -> None:
        self.log = log
        self.chance = chance
        self.thread = thread

    def emit(self, event: ev.Event) -> None:
        self.thread.apply(event)
        self.log.append(event)

    def turn(self) -> None:
        turn_id = new_id()
        self.emit(ev.TurnStarted(turn_id, AT_MS, "m", "p", "/w", "read-only", "never"))
        for _ in range(self.chance.randrange(1, 3)):
            text = "x" * self.chance.randrange(300)
            self.emit(ev.UserSpoke(turn_id, new_id(), AT_MS, raw("user", text)))
        self.shell(turn_id)
        for _ in range(self.chance.randrange(6)):
            self.step(turn_id)
        outcome: Outcome = self.chance.choice(OUTCOMES)
        if self.chance.random() < 0.3:
            self.call(turn_id)  # cut off with its turn
        self.emit(ev.TurnEnded(turn_id, AT_MS, outcome))
        self.leave()

    def undo(self) -> None:
        """Take some turns back, perhaps, and that too, perhaps."""
        for _ in range(self.chance.randrange(3)):
            turns = [turn.started.turn_id for turn in self.thread.turns if not turn.undone]
            if self.chance.random() < 0.5 and turns:
                last = tuple(turns[-self.chance.randrange(1, 4) :])
                is_all = self.chance.random() < 0.7
                self.emit(ev.TurnsUndone(AT_MS, last, (), (), conversation=is_all))
            elif self.chance.random() < 0.5 and self.thread.undone is not None:
                self.emit(ev.UndoUndone(AT_MS))

    def step(self, turn_id: str) -> None:
        if self.chance.random() < 0.5:
            answer = raw("assistant", "y" * self.chance.randrange(300))
            self.emit(ev.ItemAdded(turn_id, new_id(), "message", AT_MS, answer))
        calls = [self.call(turn_id) for _ in range(self.chance.randrange(4))]
        self.chance.shuffle(calls)
        late = self.chance.randrange(len(calls) + 1)
        for call_id in calls[:late]:
            self.end(turn_id, call_id)
        self.shell(turn_id)
        self.emit(ev.StepEnded(turn_id, AT_MS))
        self.shell(turn_id)
        for call_id in calls[late:]:
            self.end(turn_id, call_id)
        self.leave()

    def call(self, turn_id: str) -> str:
        call_id = new_id()
        item = {"type": "function_call", "name": "exec_command", "arguments": "{}"}
        encoded = msgspec.Raw(msgspec.json.encode(item | {"call_id": call_id}))
        added = ev.ItemAdded(
            *(turn_id, new_id(), "function_call", AT_MS, encoded, call_id, "exec_command")
        )
        self.emit(added)
        if self.chance.random() < 0.8:
            self.emit(ev.CallStarted(turn_id, call_id, AT_MS, ev.RunIntent("ls", "/w")))
        return call_id

    def end(self, turn_id: str, call_id: str) -> None:
        output = {"type": "function_call_output", "call_id": call_id, "output": "z" * 50}
        running = self.chance.random() < 0.2
        facts = ev.CallFacts(
            exit_code=None if running else self.chance.randrange(2),
            running=running,
            session_id=7 if running else None,
        )
        encoded = msgspec.Raw(msgspec.json.encode(output))
        self.emit(ev.CallEnded(turn_id, call_id, AT_MS, encoded, facts=facts))

    def leave(self) -> None:
        for call_id in list(self.thread.running):
            if self.chance.random() < 0.4:
                self.emit(ev.ProcessEnded(call_id, AT_MS, ev.CallFacts(exit_code=0)))
        for item_id in list(self.thread.shells):
            if self.chance.random() < 0.4:
                self.shell_end(item_id)

    def shell(self, turn_id: str) -> None:
        """A command of the person's own, perhaps."""
        if self.chance.random() < 0.2:
            self.emit(ev.ShellStarted(new_id(), turn_id, AT_MS, "ls", "/w"))

    def shell_end(self, item_id: str) -> None:
        facts = ev.CallFacts(exit_code=self.chance.randrange(2))
        self.emit(ev.ShellEnded(item_id, AT_MS, facts, raw("user", "done")))


def write(home: Path, chance: random.Random) -> tuple[Path, str]:
    """Write a thread, perhaps a fork of a fork; return its log and its id."""
    thread, base, path = Thread(), None, Path()
    for _ in range(chance.randrange(1, 4)):
        thread_id = new_id()
        started = ev.ThreadStarted(
            *(thread_id, "/w", AT_MS, "0", "m", "p"), format=2, forked_from=base
        )
        with Rollout.create(home, thread_id, AT_MS) as log:
            log.append(started)
            if thread.started is None:
                thread.apply(started)
            writer = Writer(log, chance, thread)
            for call_id in list(thread.running):
                writer.emit(ev.ProcessEnded(call_id, AT_MS, ev.CallFacts()))
            for item_id in list(thread.shells):
                writer.shell_end(item_id)
            for _ in range(chance.randrange(1, 5)):
                writer.turn()
                writer.undo()
        path = log.path
        turn = chance.choice(thread.turns).started.turn_id
        base = shelf.fork_point(home, path, turn)
        forked = Thread()  # what a fork there begins with
        for event in read_thread(home, path).events:
            forked.apply(event)
            if isinstance(event, ev.TurnEnded) and event.turn_id == turn:
                break
        thread = forked
    return path, thread_id_of(path)


def shown_turns(home: Path, path: Path) -> list[str]:
    """The turns that were not undone."""
    thread = fold(read_thread(home, path).events)
    return [turn.started.turn_id for turn in thread.turns if turn.hidden_by is None]


def whole(home: Path, path: Path) -> list[it.ThreadItem]:
    """All items, in the order they began, as following the thread from its start shows them."""
    projection = Projection("t")
    items: dict[str, it.ThreadItem] = {}
    shown = shown_turns(home, path)
    for event in read_thread(home, path).events:
        for told in projection(event):
            if isinstance(told, note.ItemStarted | note.ItemCompleted) and (
                told.turn_id in shown or told.item.id in items
            ):
                items[told.item.id] = told.item
    return [
        msgspec.structs.replace(item, status="failed")
        if isinstance(item, it.CommandExecution) and item.status == "inProgress"
        else item
        for item in items.values()
    ]


def key(item: it.ThreadItem) -> object:
    if isinstance(item, it.CommandExecution):
        return (item.id, item.status, item.exit_code)
    return item


@given(seed=st.integers(0, 10**9), limit=st.integers(1, 7))
@settings(max_examples=sample(1000, 40), deadline=None)
def test_pages_hold_what_following_the_thread_shows(
    seed: int, limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    path, thread_id = write(home, random.Random(seed))
    expected = [key(item) for item in whole(home, path)]

    with pytest.MonkeyPatch.context() as patch, Tape.open(home, path) as opened:
        patch.setattr(history, "_CHUNK_BYTES", 700)
        patch.setattr(tape, "_CHUNK_BYTES", 512)
        patch.setattr(undone, "_CHUNK_BYTES", 64)
        asked = History(thread_id, opened, None)
        forward: list[object] = []
        at = 0
        while page := list(islice(asked.items(at, 1 << 62), limit)):
            asked.close(page)
            forward += [key(shown.entry.item) for shown in page]
            at = page[-1].at + 1
        backward: list[object] = []
        end = 1 << 62
        while page := list(islice(asked.items_back(0, end), limit)):
            asked.close(page)
            backward += [key(shown.entry.item) for shown in page]
            end = page[-1].at
        turns = [asked.turn(*place, "full") for place in asked.turns(0)]
        back = [asked.turn(*place, "full") for place in asked.turns_back(1 << 62)]

    assert forward == expected
    assert backward == expected[::-1]
    assert turns == back[::-1]
    assert [key(i) for turn in turns if turn is not None for i in turn.items] == expected
    assert [turn.id for turn in turns if turn is not None] == shown_turns(home, path)


def test_a_tape_finds_lines_wherever_its_chunks_end(tmp_path: Path) -> None:
    file = tmp_path / "rollout-x.jsonl"
    lines = [b"%d %s" % (n % 3, b"-" * (n * 7 % 23)) for n in range(60)]
    file.write_bytes(b"head\n" + b"".join(line + b"\n" for line in lines) + b"torn")

    def places(beginning: bytes) -> list[int]:
        return [at for at, line in opened.lines(0) if line.startswith(beginning)]

    def forward(beginning: bytes) -> Iterator[int]:
        at = 0
        while (at := opened.find(beginning, at)) >= 0:
            yield at
            at += 1

    def backward(beginning: bytes) -> Iterator[int]:
        at = opened.size
        while (at := opened.find_last(beginning, at)) >= 0:
            yield at

    for chunk_bytes in (1, 2, 5, 64, 10_000):
        with pytest.MonkeyPatch.context() as patch, Tape.open(tmp_path, file) as opened:
            patch.setattr(tape, "_CHUNK_BYTES", chunk_bytes)
            assert opened.size == file.stat().st_size - 4
            assert [line for _, line in opened.lines(5)] == lines
            for beginning in (b"0", b"1 -", b"2 ---", b"torn"):
                assert list(forward(beginning)) == places(beginning)
                assert list(backward(beginning)) == places(beginning)[::-1]
