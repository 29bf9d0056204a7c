"""What octavo writes to the disk: a day of heavy use three transcripts at most, idle nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from octavo.store.reading import read
from octavo.trial import scripted
from octavo.trial.scripted import Received, Step, answer, call, say, think
from tests.faults import shim
from tests.sampling import sample
from tests.scenarios import processes
from tests.scenarios.processes import Place

pytestmark = pytest.mark.anyio

TURNS = sample(full=40, fast=4)
STEPS_A_TURN = 12
TRANSCRIPTS = 3.0
IDLE_S = 1.0


@pytest.fixture
def place() -> Iterator[Place]:
    with processes.place() as made:
        yield made


class _Day:
    """Turn after turn of looking, changing and testing; the last step of each is an answer."""

    def __init__(self) -> None:
        self._chance = random.Random(TURNS)
        self._step = 0

    def __call__(self, request: Received) -> Step:
        self._step += 1
        n = self._step
        if n % STEPS_A_TURN == 0:
            return say("That is done. " * 20)
        lines = self._chance.choice((3, 30, 300))
        patch = f"*** Begin Patch\n*** Add File: f{n}\n" + "+a line of it\n" * lines
        return answer(
            think("What next? " * self._chance.randrange(30)),
            say(f"Step {n}."),
            self._chance.choice(
                (
                    call("exec_command", cmd=f"seq 1 {lines}"),
                    call("exec_command", cmd=f"seq 1 {lines * 100}"),
                    call("exec_command", cmd="git status --short | head -5"),
                    call("exec_command", cmd=f"git add -A && git commit -qm {n} --allow-empty"),
                    call("apply_patch", input=f"{patch}*** End Patch\n"),
                )
            ),
        )


async def test_a_day_of_heavy_use_writes_at_most_three_transcripts(
    place: Place, tmp_path: Path
) -> None:
    library = shim.build(tmp_path)
    if library is None:
        pytest.skip("needs a C compiler")
    config = place.work / ".git" / "config"
    config.write_text(config.read_text() + "[user]\n\tname = t\n\temail = t@example.invalid\n")
    written_bytes, words = 0, ["go"]
    async with scripted.serve(_Day()) as model:
        for _ in range(TURNS):
            run = await shim.begin(place, model.base_url, *words, shim=library)
            assert await run.end() == 0, (run.shown[-1], run.stderr)
            written_bytes += shim.told(place).written_bytes
            words = ["resume", str(run.thread_id), "go on"]

    [log] = place.logs()
    events = read(log).events
    transcript_bytes = sum(len(bytes(raw)) for e in events if (raw := getattr(e, "raw", None)))
    kept_bytes = sum(path.stat().st_size for path in place.home.glob("outputs/*/*"))
    ratio = (written_bytes - kept_bytes) / transcript_bytes
    sizes = Counter(type(e).__name__ for e in events)
    print(f"{ratio:.2f} transcripts of {transcript_bytes:,} bytes; kept {kept_bytes:,}; {sizes}")
    assert written_bytes >= log.stat().st_size + kept_bytes  # the count counts
    assert ratio <= TRANSCRIPTS


async def test_an_octavo_that_waits_writes_nothing(place: Place) -> None:
    script = [call("exec_command", cmd="touch started; sleep 60", yield_time_ms=30_000)]
    async with scripted.serve(script) as model:
        run = await processes.begin(place, model.base_url, "go")
        async with asyncio.timeout(processes.DEADLINE_S):
            while not (place.work / "started").exists():
                await asyncio.sleep(0.01)
        before, files = _written(place), _files(place)
        assert any(before.values())
        await asyncio.sleep(IDLE_S)  # nothing happens, and that is what is looked at
        assert _written(place) == before
        assert _files(place) == files
        assert await run.kill()


def _written(place: Place) -> dict[int, int]:
    """What each process of the run has written to anything at all, in bytes."""
    found = {}
    for pid in place.processes():
        try:
            lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        except OSError:
            pytest.skip("needs /proc/PID/io")
        found[pid] = int(dict(line.split(": ") for line in lines)["wchar"])
    return found


def _files(place: Place) -> dict[str, tuple[int, int]]:
    states = {str(path): path.stat() for path in place.home.rglob("*")}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
