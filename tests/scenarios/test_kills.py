"""SIGKILL at any moment loses nothing that was shown, breaks no history and leaves nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

import msgspec
import pytest

from octavo.protocol.events import CallEnded, CallStarted, Event, ItemAdded, TurnEnded, TurnStarted
from octavo.store.reading import read
from octavo.trial import scripted
from octavo.trial.scripted import Received, Step, answer, call, cut, say, think
from tests.sampling import sample
from tests.scenarios import processes
from tests.scenarios.processes import Place, Run

pytestmark = pytest.mark.anyio

KILLS = sample(full=300, fast=12)
SIDE_BY_SIDE = 2
KILLS_A_THREAD = 6
START_S = 0.45
"""About how long a process takes to its first request."""
TURN_S = 0.8
"""About how long the script takes from there."""

NEW_FILE = "".join(f"line {n}\n" for n in range(300))


async def test_a_kill_at_any_moment_loses_nothing_and_the_thread_goes_on() -> None:
    chance = random.Random(KILLS)
    told = Counter[str]()
    async with scripted.serve(_Script()) as model, asyncio.TaskGroup() as group:
        todo = iter(range(-(-KILLS // KILLS_A_THREAD)))

        async def work() -> None:
            for _ in todo:
                with processes.place() as place:
                    await _Killed(place, model, chance, told).play(KILLS_A_THREAD)

        for _ in range(SIDE_BY_SIDE):
            group.create_task(work())

    print(dict(told))
    assert told["kills"] >= KILLS
    assert told["with a log"] > KILLS / 2
    assert told["in a turn"] > KILLS / 4
    assert told["in a call"] > KILLS / 12
    assert told["said so"] > KILLS / 6


class _Script:
    """For each thread the same turns over and over, however often it is resumed."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def __call__(self, request: Received) -> Step:
        key = request.json()["prompt_cache_key"]
        self._asked[key] += 1
        steps = _steps(request.number)
        return steps[(self._asked[key] - 1) % len(steps)]


def _steps(number: int) -> list[Step]:
    added = "".join(f"+{line}\n" for line in NEW_FILE.splitlines())
    patch = (
        f"*** Begin Patch\n*** Add File: new-{number}.txt\n{added}"
        f"*** Update File: notes.txt\n@@\n count\n+more {number}\n*** End Patch\n"
    )
    slow = "echo one; sleep 0.05; echo two"
    return [
        answer(
            think("Look first."),
            say("Looking " + "around " * 20, deltas=20),
            call("exec_command", cmd=slow),
            gap_s=0.002,
        ),
        answer(
            call("exec_command", cmd="seq 1 3000"),
            call("exec_command", cmd="sleep 0.1; echo b >> commands.log"),
            call("apply_patch", input=patch),
            say("Three at once."),
            gap_s=0.005,
        ),
        cut(say("half"), after=3),
        answer(say("A server."), call("exec_command", cmd=_BACKGROUND, yield_time_ms=250)),
        answer(say("Done. " * 10, deltas=20), gap_s=0.002),
    ]


_BACKGROUND = "setsid sleep 1000 & (while sleep 0.02; do :; done) & while sleep 0.05; do date; done"


class _Killed:
    """One thread that is killed again and again, and each time picked up."""

    def __init__(
        self, place: Place, model: scripted.Server, chance: random.Random, told: Counter[str]
    ) -> None:
        self._place = place
        self._model = model
        self._chance = chance
        self._told = told
        self._mode = chance.choice(("workspace-write", "workspace-write", "danger-full-access"))
        self._thread_id: str | None = None
        self._before: list[Event] = []
        self._asked = 0

    async def play(self, kills: int) -> None:
        while kills:
            run = await self._begin()
            await self._moment(run)
            if await run.kill():
                kills -= 1
                self._told["kills"] += 1
            self._check(run)
        run = await self._begin()
        assert await run.end() == 0, (run.shown, run.stderr)
        assert run.shown[-1]["type"] == "turn.completed"
        assert self._check(run) is not None
        assert not self._place.processes()
        assert self._place.files() == set()
        assert list(self._place.tmp.iterdir()) == []

    async def _begin(self) -> Run:
        words = ["go"] if self._thread_id is None else ["resume", self._thread_id, "go on"]
        return await processes.begin(self._place, self._model.base_url, "-s", self._mode, *words)

    async def _moment(self, run: Run) -> None:
        """Wait for the moment: one in ten while octavo starts, the others while it works."""
        if self._chance.random() < 0.1:
            await self._wait(run, self._chance.random() * START_S)
            return
        asked = len(self._requests())
        for _ in range(1_000):
            if run.process.returncode is not None or len(self._requests()) > asked:
                break
            await self._wait(run, 0.005)
        await self._wait(run, self._chance.random() * TURN_S)

    async def _wait(self, run: Run, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await run.process.wait()
        except TimeoutError:
            pass

    def _requests(self) -> list[bytes]:
        """The bodies of this thread's requests so far."""
        if self._thread_id is None:
            place = msgspec.json.encode(str(self._place.work))[1:-1]
            return [r.body for r in self._model.requests if place in r.body]
        key = msgspec.json.encode({"k": self._thread_id})[5:-1]
        return [r.body for r in self._model.requests if b'"prompt_cache_key":' + key in r.body]

    def _check(self, run: Run) -> list[Event] | None:
        """Hold what the dead process had shown and sent against what it left."""
        self._check_workspace()
        logs = self._place.logs()
        if not logs:
            assert run.completed() == []
            return None
        [log] = logs
        reading = read(log)
        assert reading.warnings == ()
        events = reading.events
        if not events:
            return None
        self._told["with a log"] += 1
        self._thread_id = log.stem[-36:]
        assert run.thread_id in (self._thread_id, None)
        assert events[: len(self._before)] == self._before
        shown, stored = run.completed(), replayed_since(self._before, events)
        assert shown == stored[: len(shown)]
        self._check_requests(processes.history(reading))
        self._check_told(events)
        self._before = events
        return events

    def _check_requests(self, history: bytes) -> None:
        bodies = self._requests()
        for body in bodies:
            processes.check_history(body)
        for earlier, later in itertools.pairwise(bodies):
            assert later.startswith(processes.stem(earlier))
        if bodies:
            assert history.startswith(processes.input_of(bodies[-1]))

    def _check_told(self, events: list[Event]) -> None:
        """The calls that had no output, and a turn that did not end, are said to the model."""
        requests = self._requests()
        turn, waiting = open_at_end(self._before)
        if turn and len(requests) > self._asked:
            first = requests[self._asked]
            told = {
                item["call_id"]: item["output"]
                for item in msgspec.json.decode(first)["input"]
                if item["type"] == "function_call_output"
            }
            for call_id in waiting:
                assert "octavo stopped unexpectedly" in told[call_id]
            assert b"<turn_aborted>" in first
            self._told["said so"] += 1
        self._asked = len(requests)
        turn, waiting = open_at_end(events)
        self._told["in a turn"] += bool(turn)
        self._told["in a call"] += bool(waiting)

    def _check_workspace(self) -> None:
        for path in self._place.work.iterdir():
            if path.name == "notes.txt":
                first, *more = path.read_text().splitlines()
                assert first == "count"
                assert all(line.startswith("more ") for line in more)
            elif path.name.startswith("new-"):
                assert path.read_text() == NEW_FILE
            else:
                assert path.name in (".git", "commands.log")


def replayed_since(before: list[Event], events: list[Event]) -> list[dict[str, object]]:
    """The items finished since `before`, as their run showed them."""
    return processes.replayed(events[len(before) :])


def open_at_end(events: list[Event]) -> tuple[bool, set[str]]:
    """Whether the last turn did not end, and its calls without an output."""
    turn, calls = False, set[str]()
    for event in events:
        match event:
            case TurnStarted():
                turn, calls = True, set()
            case TurnEnded():
                turn = False
            case ItemAdded(call_id=str(call_id)):
                calls.add(call_id)
            case CallStarted():
                pass
            case CallEnded():
                calls.discard(event.call_id)
            case _:
                pass
    return turn, calls if turn else set()
