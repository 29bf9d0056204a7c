"""Whichever write to octavo's own files fails, and however: said, nothing spoiled, taken up again.

A run writes its files in some fifty operations. Each in turn is made to fail (`tests.faults`), for
once or from then on, as a full disk, a broken one or a read-only one would make it.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import random
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from octavo.protocol.errors import OctavoError
from octavo.protocol.events import CallEnded, CallStarted, ItemAdded
from octavo.store.reading import Reading, read
from octavo.trial import scripted
from octavo.trial.scripted import Received, Step, answer, call, say
from tests.faults import shim
from tests.sampling import PROVE, sample
from tests.scenarios import processes
from tests.scenarios.processes import Place, Run, check_history, replayed, stem

pytestmark = pytest.mark.anyio

SIDE_BY_SIDE = 2
POINTS = sample(full=10_000, fast=6)
FAULTS = [
    (errno.ENOSPC, False),
    (errno.ENOSPC, True),
    (errno.EIO, False),
    (errno.EIO, True),
    (errno.EROFS, True),
]
PATCH = "*** Begin Patch\n*** Add File: new.txt\n+new\n*** Update File: notes.txt\n@@\n count\n"
PATCH += "+more\n*** End Patch\n"


class _Script:
    """The same work for each thread that asks; then the thread is gone on with."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def __call__(self, request: Received) -> Step:
        if b"go on" in request.body:
            return say("Back.")
        key = request.json()["prompt_cache_key"]
        self._asked[key] += 1
        match self._asked[key]:
            case 1:
                return answer(
                    say("Look."),
                    call("exec_command", cmd="echo one >> commands.log; seq 1 60000"),
                    call("exec_command", cmd="echo two >> commands.log"),
                )
            case 2:
                return call("apply_patch", input=PATCH)
            case 3:
                return call("exec_command", cmd="git add -A && git commit -qm Made")
            case _:
                return say("Done.")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = shim.build(tmp_path_factory.mktemp("shim"))
    if built is None:
        pytest.skip("needs a C compiler")
    return built


async def test_whatever_write_fails_is_said_and_spoils_nothing(library: Path) -> None:
    chance = random.Random(POINTS)
    async with scripted.serve(_Script()) as model, asyncio.TaskGroup() as group:
        with processes.place() as place:
            _prepare(place)
            run = await shim.begin(place, model.base_url, "go", shim=library)
            assert await run.end() == 0, run.stderr
            operations = shim.told(place).operations
        assert operations is not None
        assert operations > 30
        points = [*itertools.product(range(1, operations + 1), FAULTS)]
        if not PROVE:
            points = chance.sample(points, POINTS)
        todo = iter(points)
        seen: Counter[str] = Counter()
        wrong: list[str] = []

        async def work() -> None:
            for at, (number, lasting) in todo:
                with processes.place() as place:
                    _prepare(place)
                    try:
                        seen[await _fail(place, model, library, at, number, lasting=lasting)] += 1
                    except (AssertionError, OctavoError, TimeoutError) as broken:
                        where = f"operation {at}, {os.strerror(number)}, lasting: {lasting}"
                        wrong.append(f"{where}: {type(broken).__name__}: {broken}")

        for _ in range(SIDE_BY_SIDE):
            group.create_task(work())
    print(operations, dict(seen))
    assert wrong == []
    assert sum(seen.values()) == len(points)
    if PROVE:
        assert seen["ended"] > operations
        assert seen["went well"] > operations / 2


def _prepare(place: Place) -> None:
    config = place.work / ".git" / "config"
    config.write_text(config.read_text() + "[user]\n\tname = t\n\temail = t@example.invalid\n")


async def _fail(
    place: Place, model: scripted.Server, library: Path, at: int, number: int, *, lasting: bool
) -> str:
    run = await shim.begin(
        place, model.base_url, "go", shim=library, at=at, errno=number, lasting=lasting
    )
    status = await run.end()
    told = shim.told(place)
    context = (told.failed, run.shown, run.stderr.decode())
    if not told.failed:  # side by side, runs differ by an operation or two
        assert status == 0, context
        return "not reached"
    assert "Traceback" not in run.stderr.decode(), context
    last = run.shown[-1]
    if status == 0:
        assert last["type"] == "turn.completed", context
    else:
        assert status == 1, context
        assert last["type"] == "turn.failed", context
        assert os.strerror(number) in last["error"]["message"], context
    async with asyncio.timeout(processes.DEADLINE_S):  # a cage goes when it sees octavo gone
        while place.processes():
            await asyncio.sleep(0.01)
    assert list(place.tmp.iterdir()) == [], context
    _check_kept(place, run, lasting=lasting)
    await _go_on(place, model, run)
    return "went well" if status == 0 else "ended"


def _check_kept(place: Place, run: Run, *, lasting: bool) -> None:
    """The log has what was shown, and before each effect that the workspace shows, its intent."""
    effects = _effects(place)
    logs = place.logs()
    reading = read(logs[0]) if logs else Reading([])
    shown, stored = run.completed(), replayed(reading.events)
    if not reading.events:  # then nothing is shown but why
        assert {item["type"] for item in shown} <= {"error"}
        assert effects == []
        return
    assert reading.warnings == ()
    assert lasting or reading.torn is None
    assert stored[: len(shown)] == shown[: len(stored)]
    if not lasting:  # what could not be stored at once was stored with the next
        assert len(stored) >= len(shown)
    calls = {e.call_id: e for e in reading.events if isinstance(e, ItemAdded) and e.call_id}
    began = {e.call_id for e in reading.events if isinstance(e, CallStarted)}
    meant = b" ".join(bytes(calls[call_id].raw) for call_id in began)
    for effect in effects:
        assert effect.encode() in meant, (effect, meant)


def _effects(place: Place) -> list[str]:
    log = place.work / "commands.log"
    found = [f"echo {line} >>" for line in log.read_text().split()] if log.exists() else []
    found += ["*** Add File: new.txt"] * (place.work / "new.txt").exists()
    notes = (place.work / "notes.txt").read_text()
    assert notes in ("count\n", "count\nmore\n")
    assert (notes != "count\n") == (place.work / "new.txt").exists()
    assert {p.name for p in place.work.iterdir()} <= {".git", "notes.txt", "new.txt", log.name}
    assert len(set(found)) == len(found)
    history = ["git", "log", "--format=%s"]
    made = subprocess.run(history, cwd=place.work, check=True, capture_output=True, text=True)
    return found + ["git commit -qm Made"] * made.stdout.splitlines().count("Made")


async def _go_on(place: Place, model: scripted.Server, run: Run) -> None:
    """With the fault gone the thread goes on, if there is one; what is cut off is told rightly."""
    effects, logs = _effects(place), place.logs()
    if not logs or not read(logs[0]).events:
        return
    thread_id = logs[0].stem[-36:]
    before = [r.body for r in model.requests if thread_id.encode() in r.body]
    again = await processes.begin(place, model.base_url, "resume", thread_id, "go on")
    assert await again.end() == 0, (again.shown, again.stderr)
    after = [r.body for r in model.requests if thread_id.encode() in r.body][-1]
    check_history(after)
    if before:
        assert after.startswith(stem(before[-1]))
    assert _effects(place) == effects
    events = read(logs[0]).events
    calls = {e.call_id: e for e in events if isinstance(e, ItemAdded) and e.call_id}
    for event in events:
        if isinstance(event, CallEnded) and event.facts is not None and event.facts.found:
            words = msgspec.json.decode(calls[event.call_id].raw)["arguments"]
            happened = any(effect in words for effect in effects)
            assert event.facts.found != "done" or happened
            assert event.facts.found != "not_done" or not happened
