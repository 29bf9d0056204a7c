"""A year of threads: listing 3,000 of them, searching their text, paging through 20,000 items.

Through the protocol, in this process: from a client's request to its answer, with a real server and
a memory link between them; there is nothing of Codex to put beside it. The logs hold about 150 MB.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import msgspec
from harness import MS, Bench, Row

from octavo.client import Client, connect
from octavo.protocol import methods as m
from octavo.protocol import sessions as s
from octavo.protocol.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    ItemAdded,
    RunIntent,
    StepEnded,
    ThreadNamed,
    ThreadStarted,
    TurnEnded,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.ids import new_id
from octavo.protocol.usage import Usage
from octavo.rpc.memory import memory_pair
from octavo.server.server import Launch, serving
from octavo.store.rollout import Rollout

THREADS = 3_000
TURNS = 5
CALLS = 4
"""Of a turn, each with 1,500 bytes of output."""
ITEMS = 20_000
TIMES = 15
_WORDS = [f"word{number}" for number in range(5_000)]
_NOW_MS = 1_790_000_000_000


def measure(bench: Bench) -> list[Row]:
    """Write the threads, then ask for them."""
    home = bench.place / "year"
    chance = random.Random(1)
    paths = [_write(home, _NOW_MS + n * 60_000, chance, TURNS, CALLS) for n in range(THREADS)]
    long_id = _write(home, _NOW_MS, chance, 1, ITEMS // 2)[0]
    return anyio.run(_ask, home, paths[0][1], long_id)


async def _ask(home: Path, log: Path, long_id: str) -> list[Row]:
    launch = Launch(env={**os.environ, "OCTAVO_HOME": str(home)})
    async with serving(launch) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        async with connect(ours, name="bench", version="0", answer=_nobody) as client:
            rows = await _rows(client, log, long_id)
        group.cancel_scope.cancel()
    return rows


async def _rows(client: Client, log: Path, long_id: str) -> list[Row]:
    built = await client.call(s.INDEX_REBUILD, m.Nothing())

    async def changed() -> None:
        with Rollout.open(log) as rollout:
            rollout.append(ThreadNamed(_NOW_MS, "again"))

    listing = m.ThreadListParams(25, sort_key="updated_at")
    asked: tuple[tuple[str, m.Method[Any, Any], Any, float | None], ...] = (
        ("List of 3,000 threads, a page of 25", m.THREAD_LIST, listing, 50),
        ("… a page of 1,000", m.THREAD_LIST, m.ThreadListParams(1_000), None),
        ("Search of their text, a rare word", s.SEARCH, s.SearchParams("word17"), 100),
        ("… a word that every message has", s.SEARCH, s.SearchParams("common"), 100),
        ("… two words", s.SEARCH, s.SearchParams("word17 common"), 100),
        ("20,000-item thread, first page of items", s.ITEMS_LIST, s.ItemsListParams(long_id), 150),
        (
            "… of its latest items",
            s.ITEMS_LIST,
            s.ItemsListParams(long_id, sort_direction="desc"),
            150,
        ),
        ("… of its turns", s.TURNS_LIST, s.TurnsListParams(long_id), 150),
    )
    rows = [
        Row("Index of 3,000 threads, made anew", "ms", {"octavo": built.duration_ms}),
    ]
    for what, method, params, goal in asked:
        took_ms = await _median_ms(lambda m=method, p=params: client.call(m, p))  # type: ignore[misc]  # bound at once
        rows.append(Row(what, "ms", {"octavo": took_ms}, goal))
    took_ms = await _median_ms(lambda: client.call(m.THREAD_LIST, listing), before=changed)
    rows.insert(3, Row("… after one of them went on", "ms", {"octavo": took_ms}, 50))
    return rows


async def _median_ms(
    work: Callable[[], Awaitable[object]], *, before: Callable[[], Awaitable[None]] | None = None
) -> float:
    found: list[float] = []
    for _ in range(TIMES):
        if before is not None:
            await before()
        began = time.perf_counter()
        await work()
        found.append(time.perf_counter() - began)
    return median(found) * MS


def _write(
    home: Path, at_ms: int, chance: random.Random, turns: int, calls: int
) -> tuple[str, Path]:
    thread_id = new_id()
    with Rollout.create(home, thread_id, at_ms) as log:
        log.append(ThreadStarted(thread_id, "/w", at_ms, "0.1.0", "gpt-5.5", "mock"))
        for number in range(turns):
            _write_turn(log, at_ms + number * 1000, chance, calls)
    return thread_id, log.path


def _write_turn(log: Rollout, at_ms: int, chance: random.Random, calls: int) -> None:
    turn_id = new_id()
    usage = Usage(total_tokens=1000)
    log.append(TurnStarted(turn_id, at_ms, "gpt-5.5", "mock", "/w", "workspace-write", "never"))
    log.append(UserSpoke(turn_id, new_id(), at_ms, _message("user", "input_text", chance, 40)))
    for number in range(calls):
        call_id = f"{turn_id}-{number}"
        answer = _message("assistant", "output_text", chance, 20)
        log.append(ItemAdded(turn_id, new_id(), "message", at_ms, answer))
        call = _raw(type="function_call", name="exec_command", arguments="{}", call_id=call_id)
        log.append(
            ItemAdded(turn_id, new_id(), "function_call", at_ms, call, call_id, "exec_command")
        )
        log.append(CallStarted(turn_id, call_id, at_ms, RunIntent("make test", "/w")))
        output = _raw(type="function_call_output", call_id=call_id, output="x" * 1500)
        log.append(CallEnded(turn_id, call_id, at_ms, output, facts=CallFacts(exit_code=0)))
        log.append(StepEnded(turn_id, at_ms, usage))
    log.append(TurnEnded(turn_id, at_ms, "completed"))


def _message(role: str, kind: str, chance: random.Random, words: int) -> msgspec.Raw:
    text = " ".join([*chance.choices(_WORDS, k=words), "common"])
    return _raw(type="message", role=role, content=[{"type": kind, "text": text}])


def _raw(**fields: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(fields))


async def _nobody(method: str, params: bytes) -> Any:
    raise AssertionError(f"asked {method}: {params!r}")
