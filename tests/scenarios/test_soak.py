"""A long thread with everything that goes wrong in it: right to the end, and no larger for it."""

from __future__ import annotations

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
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text
from octavo.rpc import RpcError
from octavo.store.reading import read
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
from tests.scenarios.playing import Play, playing
from tests.scenarios.processes import check_history, input_of, stem

pytestmark = pytest.mark.anyio

STEPS = sample(full=2_000, fast=60)
STEPS_A_THREAD = 250
"""Histories are resent whole, so a soak of one endless thread would measure the loopback."""
FLAT = 1.2
ALWAYS = ["model_providers.trial.stream_idle_timeout_ms=300"]


class _Chaos:
    """A model that says anything, and an HTTP server that does what the worst ones do."""

    def __init__(self, chance: random.Random) -> None:
        self.said: Counter[str] = Counter()
        self.requests = 0
        self.sessions: list[int] = []
        self.wrong: list[str] = []
        self._chance = chance
        self._last = b""
        self._number = itertools.count()

    def begin(self) -> None:
        """A new thread: its first request extends nothing."""
        self._last = b""

    def __call__(self, request: Received) -> Step:
        self.requests += 1
        self._check(request.body)
        name = self._chance.choices(list(_FAULTS), [w for w, _ in _FAULTS.values()])[0]
        self.said[name] += 1
        fault = _FAULTS[name][1]
        return fault(self) if callable(fault) else fault

    def _check(self, body: bytes) -> None:
        try:
            check_history(body)
        except AssertionError as broken:
            self.wrong.append(f"request {self.requests}: {broken!r}")
        if not body.startswith(self._last):
            self.wrong.append(f"request {self.requests} does not extend the one before")
        self._last = stem(body)
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


async def test_a_long_thread_with_every_fault_stays_right_and_small(workspace: Path) -> None:
    chance = random.Random(STEPS)
    chaos = _Chaos(chance)
    ended: Counter[str] = Counter()
    memory_mib: list[float] = []
    while chaos.requests < STEPS:
        chaos.begin()
        until = min(STEPS, chaos.requests + STEPS_A_THREAD)
        async with playing(chaos, workspace, overrides=ALWAYS) as play:
            play.model._keep_bodies = False
            while chaos.requests < until:
                ended[await _turn(play, chaos, chance)] += 1
                play.seen.clear()
                play.model.requests.clear()
            last = chaos._last
        _check_log(workspace, play.thread_id, last)
        gc.collect()
        memory_mib.append(_rss_mib())

    print(dict(chaos.said), dict(ended), [round(mib) for mib in memory_mib])
    assert chaos.wrong == []
    assert set(ended) >= {"completed", "interrupted", "failed"}
    if PROVE:
        assert set(chaos.said) == set(_FAULTS)
        half = memory_mib[len(memory_mib) // 2 :]
        assert max(half) <= half[0] * FLAT


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


def _check_log(workspace: Path, thread_id: str, last: bytes) -> None:
    """The log has all of what the model was sent, and folds without a word."""
    home = workspace.parent / "octavo-home"
    [log] = home.glob(f"sessions/*/*/*/*{thread_id}.jsonl")
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
