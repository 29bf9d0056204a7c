"""A disk that does not take the log: said clearly, nothing spoiled, and taken up again later."""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.journal import Journal
from octavo.protocol.errors import StoreError
from octavo.protocol.events import Delta, Event, Noticed, ThreadStarted, TurnEnded, TurnStarted
from octavo.protocol.fold import Thread
from octavo.protocol.ids import new_id
from octavo.store.rollout import Rollout
from octavo.trial import scripted
from octavo.trial.scripted import answer, call, custom, say
from tests.scenarios import processes
from tests.scenarios.processes import Place, Run, check_history, log_of, replayed, stem

pytestmark = pytest.mark.anyio

namespaces = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode != 0,
    reason="needs user namespaces, to mount a file system",
)


@pytest.fixture
def place() -> Iterator[Place]:
    with processes.place() as made:
        yield made


def flood(request: Any) -> Any:
    """Command after command, each with an output that fills the log."""
    if b"go on" in request.body:
        return say("Back.")
    return answer(
        say(f"Step {request.number}."),
        call("exec_command", cmd=f"seq 1 2000; echo {request.number} >> steps"),
    )


def check_failed(run: Run, status: int, why: str) -> None:
    assert status == 1, (run.shown, run.stderr)
    failed = run.shown[-1]
    assert failed["type"] == "turn.failed"
    assert why in failed["error"]["message"]
    assert "Traceback" not in run.stderr.decode()
    assert [event["type"] for event in run.shown].count("turn.failed") == 1


def check_kept(place: Place, run: Run) -> None:
    """The log says what was shown, up to where it could not be written; nothing else is left."""
    reading = log_of(place)
    assert (reading.torn, reading.warnings) == (None, ())
    shown, stored = run.completed(), replayed(reading.events)
    done = [item for item in shown if item["type"] == "command_execution"][:-1]
    assert [item for item in stored if item["type"] == "command_execution"][: len(done)] == done
    assert not place.processes()
    assert list(place.tmp.iterdir()) == []
    assert {path.name for path in place.work.iterdir()} <= {".git", "notes.txt", "steps"}


async def go_on(place: Place, model: scripted.Server, run: Run) -> None:
    """The thread goes on once there is room again."""
    assert run.thread_id is not None
    before = model.requests[-1].body
    again = await processes.begin(place, model.base_url, "resume", run.thread_id, "go on")
    assert await again.end() == 0, (again.shown, again.stderr)
    after = model.requests[-1].body
    check_history(after)
    assert after.startswith(stem(before))


async def test_a_log_that_may_not_grow_ends_the_turn_and_loses_nothing_before(
    place: Place,
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    async with scripted.serve(flood) as model:
        run = await processes.begin(place, model.base_url, "go", preexec_fn=limit)
        check_failed(run, await run.end(), "Raise the limit on file sizes (ulimit -f)")
        check_kept(place, run)
        await go_on(place, model, run)


@namespaces
async def test_a_full_disk_ends_the_turn_and_loses_nothing_before(place: Place) -> None:
    place.home.mkdir()
    kept = place.root / "kept"
    script = 'home=$1; kept=$2; shift 2; mount -t tmpfs -o size=300k tmpfs "$home" || exit 99\n'
    script += '"$@"; status=$?; cp -a "$home" "$kept"; exit $status'

    async with scripted.serve(flood) as model:
        run = await wrapped(place, model, script, str(place.home), str(kept))
        check_failed(run, await run.end(), "No space left on device. Free some space")
        place.home.rmdir()
        kept.rename(place.home)
        check_kept(place, run)
        await go_on(place, model, run)


@namespaces
async def test_a_home_that_is_read_only_is_refused_before_anything_is_done(place: Place) -> None:
    place.home.mkdir()
    script = 'home=$1; shift; mount -t tmpfs -o ro tmpfs "$home" || exit 99; exec "$@"'

    async with scripted.serve([say("unreached")]) as model:
        run = await wrapped(place, model, script, str(place.home))
        check_failed(run, await run.end(), "Set OCTAVO_HOME to a folder that can be written to")
        assert model.requests == []


async def test_a_home_that_is_a_file_is_refused_before_anything_is_done(place: Place) -> None:
    place.home.write_text("")

    async with scripted.serve([say("unreached")]) as model:
        run = await processes.begin(place, model.base_url, "go")
        status = await run.end()

    assert status != 0
    assert model.requests == []
    assert "Traceback" not in run.stderr.decode()
    assert place.home.read_text() == ""


async def test_a_home_that_is_deleted_meanwhile_ends_the_turn(place: Place) -> None:
    wait = "touch started; while [ ! -e go ]; do sleep 0.01; done"
    script = [call("exec_command", cmd=wait), say("unreached")]
    async with scripted.serve(script) as model:
        run = await processes.begin(place, model.base_url, "go")
        async with asyncio.timeout(processes.DEADLINE_S):
            while not (place.work / "started").exists():
                await asyncio.sleep(0.01)
        shutil.rmtree(place.home)
        (place.work / "go").touch()
        check_failed(run, await run.end(), "it was deleted while octavo wrote to it")
        assert len(model.requests) == 1
        assert not place.processes()
        fresh = await processes.begin(place, model.base_url, "go on")
        assert await fresh.end() == 0, fresh.shown


async def test_no_file_is_changed_when_the_log_cannot_say_so_first(place: Place) -> None:
    patch = "*** Begin Patch\n*** Add File: new.txt\n+new\n*** End Patch\n"
    script = [
        answer(
            call("exec_command", cmd="touch started; while [ ! -e go ]; do sleep 0.01; done"),
            call("apply_patch", input=patch),
            custom("apply_patch", patch),
        ),
        say("unreached"),
    ]
    async with scripted.serve(script) as model:
        run = await processes.begin(place, model.base_url, "go")
        async with asyncio.timeout(processes.DEADLINE_S):
            while not (place.work / "started").exists():
                await asyncio.sleep(0.01)
        [log] = place.logs()
        before = log.read_bytes()
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (len(before), len(before)))
        (place.work / "go").touch()
        check_failed(run, await run.end(), "Raise the limit on file sizes (ulimit -f)")

    assert log.read_bytes() == before
    assert not (place.work / "new.txt").exists()


async def wrapped(place: Place, model: scripted.Server, script: str, *words: str) -> Run:
    """Start octavo by a shell script in namespaces of its own."""
    process = await asyncio.create_subprocess_exec(
        *("unshare", "-Urm", "sh", "-c", script, "sh", *words),
        *processes.argv(model.base_url, "go"),
        cwd=place.work,
        env=place.env(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    return Run(place, process)


async def test_an_event_that_no_log_can_hold_does_not_keep_the_others_out(place: Place) -> None:
    with Rollout.create(place.home, new_id(), 0) as log:
        journal = Journal(Thread(), log)
        journal.emit(ThreadStarted("thread", "/", 0, "0.1.0", "m", "p"))
        with pytest.raises(StoreError, match="not UTF-8"):
            journal.emit(Noticed(1, os.fsdecode(b"\xff")))
        journal.emit(Noticed(2, "after"))

    assert [event.at_ms for event in log_of(place).events] == [0, 2]


class _Unreliable:
    """A log that takes an event or not, as it is told."""

    def __init__(self, takes: Iterator[bool]) -> None:
        self.events: list[Event] = []
        self._takes = takes

    def append(self, event: Event) -> None:
        if not next(self._takes):
            raise StoreError("The disk is full.")
        self.events.append(event)

    def sync(self) -> None:
        if not next(self._takes):
            raise StoreError("The disk is full.")


@given(st.lists(st.sampled_from(["emit", "last", "delta", "sync"])), st.lists(st.booleans()))
async def test_what_is_stored_is_always_the_beginning_of_what_happened(
    steps: list[str], takes: list[bool]
) -> None:
    log = _Unreliable(itertools.chain(takes, itertools.repeat(True)))
    journal = Journal(Thread(), log)
    told: list[Event] = []
    journal.follow(told.append)
    happened: list[Event] = []
    begin: list[Event] = [
        ThreadStarted("thread", "/", 0, "0.1.0", "m", "p"),
        TurnStarted("turn", 0, "m", "p", "/", "read-only", "never"),
    ]

    async def take(step: str, event: Event) -> None:
        failure = None
        happened.append(event)
        try:
            if step == "emit":
                journal.emit(event)
            else:
                failure = journal.emit_last(event)
        except StoreError as raised:
            failure = raised
        stored = [event for event in happened if not isinstance(event, Delta)]
        assert log.events == stored[: len(log.events)]
        if not isinstance(event, Delta):
            assert (failure is None) == (len(log.events) == len(stored))

    for event in begin:
        await take("emit", event)
    for number, step in enumerate(steps):
        if step == "sync":
            try:
                await journal.sync()
            except StoreError:
                continue
            assert log.events == [event for event in happened if not isinstance(event, Delta)]
        else:
            delta = Delta("turn", "item", str(number))
            await take(step, delta if step == "delta" else Noticed(number, str(number)))
    await take("last", TurnEnded("turn", 0, "failed"))
    assert told == happened
