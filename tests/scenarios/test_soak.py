"""A long thread with everything that goes wrong in it: right to the end, and no larger for it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from octavo.agent.reopen import reopen
from octavo.agent.transcript import Transcript
from octavo.model.providers.marks import sendable
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.store.reading import read
from octavo.trial import scripted
from octavo.trial.scripted import (
    Answer,
    Received,
    Step,
    answer,
    call,
    custom,
    cut,
    fail,
    garble,
    hang_up,
    refuse,
    say,
    stall,
    think,
)
from tests.sampling import PROVE, sample
from tests.scenarios import processes
from tests.scenarios.playing import Play, playing
from tests.scenarios.processes import Place, check_history, input_of, stem

pytestmark = pytest.mark.anyio

STEPS = sample(full=2_000, fast=60)
STEPS_A_THREAD = 250
"""Histories are resent whole, so a soak of one endless thread would measure the loopback."""
KILLS = sample(full=10, fast=1)
COMPACTIONS = sample(full=3, fast=1)
KILLED_WITHIN_S = 1.5
FLAT = 1.2
SUMMING_UP = b"about to be shortened"
SUMMING_UP_BYTES = 20_000
"""How far from the end of a request it stands, at most."""
ALWAYS = ["model_providers.trial.stream_idle_timeout_ms=300"]


class _Chaos:
    """A model that says anything, and an HTTP server that does what the worst ones do."""

    def __init__(self, chance: random.Random) -> None:
        self.said: Counter[str] = Counter()
        self.requests = 0
        self.sessions: list[int] = []
        self.wrong: list[str] = []
        self._chance = chance
        self.last = b""
        self.summaries = 0
        self._may_shrink = False
        """The next request need not extend the last: the thread is being made shorter."""
        self._number = itertools.count()

    def begin(self) -> None:
        """A new thread: its first request extends nothing."""
        self.last = b""

    def __call__(self, request: Received) -> Step:
        self.requests += 1
        is_summary = SUMMING_UP in request.body[-SUMMING_UP_BYTES:]
        self._check(request.body, is_summary=is_summary)
        name = self._chance.choices(list(_FAULTS), [w for w, _ in _FAULTS.values()])[0]
        self.said[name] += 1
        self._may_shrink = self._may_shrink or name == "too long"
        if is_summary and name in ("work", "end"):
            self.summaries += 1
            return say(f"What there was up to request {self.requests}.")
        fault = _FAULTS[name][1]
        return fault(self) if callable(fault) else fault

    def _check(self, body: bytes, *, is_summary: bool) -> None:
        try:
            check_history(body)
        except AssertionError as broken:
            self.wrong.append(f"request {self.requests}: {broken!r}")
        if is_summary:
            self._may_shrink = True
        elif not body.startswith(self.last) and not self._may_shrink:
            self.wrong.append(f"request {self.requests} does not extend the one before")
        else:
            self._may_shrink = False
        if not is_summary:
            self.last = stem(body)
        self.sessions = [int(number) for number in re.findall(rb"session ID (\d+)", body)[-3:]]

    def work(self) -> Answer:
        """Something to do, of everything there is; the message alone ends the turn."""
        n = next(self._number)
        parts: list[Any] = [
            think("Hm. " * self._chance.randrange(5)),
            say(f"Step {n}.", deltas=self._chance.randrange(1, 8)),
            *(self._call(f"{n}_{k}") for k in range(self._chance.choice((0, 1, 1, 1, 2, 3)))),
        ]
        chunk = self._chance.choice((None, None, 7, 100))
        return answer(*parts, chunk_bytes=chunk)

    def _call(self, name: str) -> Any:
        patch = f"*** Begin Patch\n*** Add File: f{name}\n+x\n*** End Patch\n"
        session = self._chance.choice([*self.sessions, 4711])
        return self._chance.choice(
            [
                call("exec_command", cmd=f"echo {name}"),
                call("exec_command", cmd="seq 1 5000; exit 3"),
                call("exec_command", cmd="sleep 0.05; echo slow"),
                call("exec_command", cmd="sleep 5", yield_time_ms=250),
                call("write_stdin", session_id=session, yield_time_ms=250),
                call("write_stdin", session_id=session, chars="\u0003"),
                call("apply_patch", input=patch),
                custom("apply_patch", patch),
                call("apply_patch", input="*** nothing of the kind"),
                call("update_plan", plan=[{"step": name, "status": "pending"}]),
                call("no_such_tool", x=1),
                call("exec_command", "{not json"),
            ]
        )

    def cut(self, how: Any) -> Step:
        """The same, broken off somewhere."""
        return cut(*self.work().parts, after=self._chance.randrange(12), how=how)


_FAULTS: dict[str, tuple[int, Step | Callable[[_Chaos], Step]]] = {
    "work": (40, _Chaos.work),
    "end": (10, say("Done.")),
    "500": (2, refuse(500)),
    "503": (1, refuse(503, headers={"retry-after": "0"})),
    "429": (2, refuse(429, "Try again in 20ms.", code="rate_limit_exceeded")),
    "400": (1, refuse(400, "no such thing")),
    "401": (1, refuse(401, "bad key")),
    "hang up": (2, hang_up()),
    "abrupt": (3, lambda chaos: chaos.cut("abrupt")),
    "clean": (3, lambda chaos: chaos.cut("clean")),
    "inside": (3, lambda chaos: chaos.cut("inside")),
    "silent": (1, stall(say("half"), after=3)),
    "silent at once": (1, stall(say("half"), after=0)),
    "garbled": (2, garble("data: {not json}\n\n", say("half"))),
    "no events": (1, garble("<html>\n\n", say("half"))),
    "failed": (2, fail("server_is_overloaded", "busy", say("half"))),
    "too long": (1, fail("context_length_exceeded", "too long")),
    "incomplete": (1, answer(say("half"), incomplete="max_output_tokens")),
    "empty": (1, answer()),
}
"""How often, and what."""


async def test_a_long_thread_with_every_fault_stays_right_and_small() -> None:
    chance = random.Random(STEPS)
    chaos = _Chaos(chance)
    ended: Counter[str] = Counter()
    memory_mib: list[float] = []
    threads = -(-STEPS // STEPS_A_THREAD)
    killed = 0
    with processes.place() as place:
        for number in range(threads):
            chaos.begin()
            first = chaos.requests
            until = min(STEPS, first + STEPS_A_THREAD)
            thread_id = await _go(place, chaos, chance, ended, None, (first + until) // 2, 0)
            while killed < KILLS * (number + 1) // threads:
                killed += await _kill(place, chaos, chance, thread_id)
            compactions = COMPACTIONS * (number + 1) // threads - COMPACTIONS * number // threads
            await _go(place, chaos, chance, ended, thread_id, until, compactions)
            _check_log(place, thread_id, chaos.last)
            gc.collect()
            memory_mib.append(_rss_mib())

    print(dict(chaos.said), dict(ended), chaos.summaries, [round(mib) for mib in memory_mib])
    assert chaos.wrong == []
    assert killed == KILLS
    assert set(ended) >= {"completed", "failed"}
    if PROVE:
        assert ended["interrupted"]
        assert set(chaos.said) == set(_FAULTS)
        assert ended["compacted"] >= COMPACTIONS
        half = memory_mib[len(memory_mib) // 2 :]
        assert max(half) <= half[0] * FLAT


async def _go(
    place: Place,
    chaos: _Chaos,
    chance: random.Random,
    ended: Counter[str],
    thread_id: str | None,
    until: int,
    compactions: int,
) -> str:
    """Take turns in a thread, new or not, until the model was asked so often; return its id."""
    settings: dict[str, Any] = {"home": place.home, "overrides": ALWAYS}
    async with playing(chaos, place.work, start=thread_id is None, **settings) as play:
        play.model._keep_bodies = False
        if thread_id is not None:
            await play.resume(thread_id, cwd=str(place.work))
        for _ in range(compactions):
            await play.client.call(m.COMPACT, m.ThreadIdParams(play.thread_id))
            await play.until(note.TurnCompleted)
            shown = play.items(it.ContextCompaction)
            ended["compacted"] += any(item.octavo_kind is not None for item in shown)
            play.seen.clear()
        while chaos.requests < until:
            ended[await _turn(play, chaos, chance)] += 1
            play.seen.clear()
            play.model.requests.clear()
        return play.thread_id


async def _kill(place: Place, chaos: _Chaos, chance: random.Random, thread_id: str) -> bool:
    """Take the thread up in a process that is killed at any moment; False if it ended before."""
    async with scripted.serve(chaos) as model:
        model._keep_bodies = False
        words = [part for override in ALWAYS for part in ("-c", override)]
        words += ["resume", thread_id, "go on and on"]
        run = await processes.begin(place, model.base_url, *words)
        with suppress(TimeoutError):
            async with asyncio.timeout(chance.random() * KILLED_WITHIN_S):
                await run.process.wait()
        return await run.kill()


async def _turn(play: Play, chaos: _Chaos, chance: random.Random) -> str:
    """One turn in which something may be said or that may be interrupted."""
    turn_id = await play.begin(f"go on ({chaos.requests})")
    async with anyio.create_task_group() as group:
        if chance.random() < 0.3:
            group.start_soon(_meddle, play, turn_id, chance)
        turn = await play.ended(turn_id)
        group.cancel_scope.cancel()
    began = [n.turn.id for n in play.seen if isinstance(n, note.TurnStarted)]
    assert began == [turn_id]
    return turn.status


async def _meddle(play: Play, turn_id: str, chance: random.Random) -> None:
    await anyio.sleep(chance.random() * 0.4)
    with suppress(RpcError):
        await play.client.steer(play.thread_id, turn_id, [Text("and be quick")])
    if chance.random() < 0.5:
        await anyio.sleep(chance.random() * 0.2)
        with suppress(RpcError):
            await play.client.interrupt(play.thread_id, turn_id)


def _check_log(place: Place, thread_id: str, last: bytes) -> None:
    """The log has all of what the model was sent, and folds without a word."""
    [log] = place.home.glob(f"sessions/*/*/*/*{thread_id}.jsonl")
    thread, warnings = reopen(read(log))
    assert warnings == []
    assert thread.turn is None
    assert not thread.running
    sent = (sendable(item, "trial") for item in Transcript(thread).items())
    history = b",".join(item for item in sent if item is not None)
    assert history.startswith(input_of(last + b"]}"))
    check_history(b'{"input":[' + history + b"]}")
    kept = msgspec.json.decode(b"[" + history + b"]")
    assert "half" not in [part.get("text") for item in kept for part in item.get("content") or []]


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20
