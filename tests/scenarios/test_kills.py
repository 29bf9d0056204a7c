"""SIGKILL at any moment loses nothing that was shown, breaks no history and leaves nothing.

Every effect of the script is its own: a line, a file, a commit that no other call makes. So the
workspace itself shows which calls happened, and how often; what the log and the model are told of
the calls that were cut off is held against that.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import subprocess
from collections import Counter

import msgspec
import pytest

from octavo.context.cut_off import VERDICTS
from octavo.protocol.events import CallEnded, CallStarted, Event, ItemAdded, TurnEnded, TurnStarted
from octavo.store.reading import read
from octavo.trial import scripted
from octavo.trial.scripted import Received, Step, answer, call, cut, say, think
from tests.sampling import PROVE, sample
from tests.scenarios import processes
from tests.scenarios.processes import Place, Run

pytestmark = pytest.mark.anyio

KILLS = sample(full=1_000, fast=12)
SIDE_BY_SIDE = 2
KILLS_A_THREAD = 6
START_S = 0.45
"""About how long a process takes to its first request."""
TURN_S = 0.8
"""About how long the script takes from there."""

NEW_FILE = "".join(f"line {n}\n" for n in range(300))
NEW_FILES = 6


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
    assert told["unknown"]
    if PROVE:
        assert told["not_done"] > KILLS / 100


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
    files = "".join(f"*** Add File: new-{number}-{n}.txt\n{added}" for n in range(NEW_FILES))
    patch = (
        f"*** Begin Patch\n{files}"
        f"*** Update File: notes.txt\n@@\n count\n+more {number}\n*** End Patch\n"
    )
    slow = f"echo one; sleep 0.05; echo run-{number}-a >> commands.log; echo two"
    return [
        answer(
            think("Look first."),
            say("Looking " + "around " * 20, deltas=20),
            call("exec_command", cmd=slow),
            gap_s=0.002,
        ),
        answer(
            call("exec_command", cmd="seq 1 3000"),
            call("exec_command", cmd=f"sleep 0.1; echo run-{number}-b >> commands.log"),
            call("exec_command", cmd=f"echo run-{number}-c >> commands.log; sleep 0.1"),
            call("apply_patch", input=patch),
            say("Four at once."),
            gap_s=0.005,
        ),
        cut(say("half"), after=3),
        answer(call("exec_command", cmd=f"git add -A && git commit -qm commit-{number}")),
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
        self._effects: Counter[str] = Counter()
        """What the workspace shows, as the last process left it."""
        for name, value in (("user.name", "t"), ("user.email", "t@example.invalid")):
            subprocess.run(["git", "config", name, value], cwd=place.work, check=True)

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
        assert self._place.files() <= self._locks_without_logs()
        assert list(self._place.tmp.iterdir()) == []

    def _locks_without_logs(self) -> set[str]:
        """What a process leaves that was killed between its lock and its thread's first event."""
        locks = self._place.home.glob("sessions/*/*/*/*.lock")
        alone = [path for path in locks if not path.with_suffix(".jsonl").exists()]
        return {str(path.relative_to(self._place.home)) for path in alone}

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
        effects = self._check_workspace()
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
        self._check_verdicts(events)
        self._check_ahead(events, effects)
        self._before, self._effects = events, effects
        return events

    def _check_verdicts(self, events: list[Event]) -> None:
        """What was found to have come of the cut calls is what the workspace showed before."""
        started = {e.call_id for e in self._before if isinstance(e, CallStarted)}
        calls = {e.call_id: e for e in events if isinstance(e, ItemAdded) and e.call_id}
        for event in events[len(self._before) :]:
            if not isinstance(event, CallEnded) or event.facts is None or not event.facts.found:
                continue
            found, raw = event.facts.found, bytes(event.raw)
            self._told[found] += 1
            assert VERDICTS[found].encode() + b": octavo stopped unexpectedly " in raw
            wanted = _wanted(calls[event.call_id])
            shown = wanted & self._effects.keys()
            match found:
                case "done":
                    assert shown == wanted
                case "not_done":
                    assert not shown
                case "partly":
                    assert any(name.startswith("commit-") for name in wanted) or shown < wanted
                case "unknown":
                    assert event.call_id in started
                    assert not any(name.startswith("new-") for name in wanted)

    def _check_ahead(self, events: list[Event], effects: Counter[str]) -> None:
        """No effect without its intent before it, and none twice."""
        calls = {e.call_id: e for e in events if isinstance(e, ItemAdded) and e.call_id}
        started = {e.call_id for e in events if isinstance(e, CallStarted)}
        meant = Counter(name for call_id in started for name in _wanted(calls[call_id]))
        assert effects <= meant
        assert set(effects.values()) <= {1}

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

    def _check_workspace(self) -> Counter[str]:
        """Return the effects there are, after a look at whether each is whole."""
        work = self._place.work
        found: Counter[str] = Counter()
        for path in work.iterdir():
            if path.name == "notes.txt":
                first, *more = path.read_text().splitlines()
                assert first == "count"
                found.update(more)
            elif path.name.startswith("new-"):
                assert path.read_text() == NEW_FILE
                found[path.name] += 1
            elif path.name == "commands.log":
                found.update(path.read_text().splitlines())
            elif path.name.startswith(".octavo-"):  # of a patch that was cut off; see `remains`
                self._told["left behind"] += 1
                assert path.read_text() == NEW_FILE or path.read_text().startswith("count\n")
                path.unlink()
            else:
                assert path.name == ".git"
        for lock in work.glob(".git/**/*.lock"):  # the user does what the model is told to ask for
            self._told["locks"] += 1
            lock.unlink()
        log = subprocess.run(
            ["git", "log", "--format=%s"], cwd=work, check=True, capture_output=True, text=True
        )
        found.update(line for line in log.stdout.splitlines() if line != "Begin")
        return found


def _wanted(item: ItemAdded) -> set[str]:
    """What there is in the workspace once a call has had its effect."""
    words = msgspec.json.decode(item.raw)["arguments"]
    names = [*re.findall(r"echo (run-\d+-\w) >>", words), *re.findall(r"commit-\d+", words)]
    names += re.findall(r"Add File: (new-[\d-]+\.txt)", words)
    return {*names, *re.findall(r"\+(more \d+)", words)}


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
