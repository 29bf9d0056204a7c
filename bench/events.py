"""What it takes to be told: events through the in-process client, and an app-server's start.

An event goes its whole way: into the journal, through the projection, encoded, over the memory
link, decoded, and out of the client's stream, in one process that has no other work.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import anyio.lowlevel
from harness import MS, Bench, Contender, Row
from load import HELLO, argv

from octavo.client import connect
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.events import Delta, ItemBegan, TurnStarted
from octavo.rpc.memory import memory_pair
from octavo.server.server import Launch, serving

EVENTS = 50_000
AT_ONCE = 8
"""A model's stream brings a few at a time."""
TEXT = "a few words of an answer "


def measure(bench: Bench) -> list[Row]:
    """The events first, then the starts in turns."""
    home = bench.place / "events"
    home.mkdir()
    found = [anyio.run(_tell, home) for _ in range(bench.runs)]
    wall_us, cpu_us = (median(one) for one in zip(*found, strict=True))
    contenders = bench.contenders[:2]
    starts: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contenders}
    with bench.model([]) as model:
        for counted in range(-1, 3 * bench.runs):
            for one in contenders:
                took = asyncio.run(_start(one, model.base_url))
                if counted >= 0:
                    starts[one.name].append(took)
    walls = {name: median(wall for wall, _ in took) * MS for name, took in starts.items()}
    own = {name: median(ran for _, ran in took) * MS for name, took in starts.items()}
    return [
        Row("An event to the in-process client", "µs", {"octavo": wall_us}, goal=20),
        Row("… CPU time", "µs", {"octavo": cpu_us}),
        Row("… events a second", "/s", {"octavo": 1e6 / wall_us}, note="the goal is 50,000"),
        Row("app-server, start to `initialize` answered", "ms", walls, goal=150),
        Row("… without its wait for a processor", "ms", own),
    ]


async def _tell(home: Path) -> tuple[float, float]:
    """Return the wall and the processor's microseconds of one event."""
    launch = Launch(
        env={**os.environ, "OCTAVO_HOME": str(home)},
        overrides=('model_provider="ollama"', 'model="scripted"'),
    )
    async with serving(launch) as server, anyio.create_task_group() as group:
        ours, theirs = memory_pair()
        group.start_soon(server.connect, theirs)
        async with connect(ours, name="bench", version="0", answer=_nobody) as client:
            started = await client.start_thread(m.ThreadStartParams(cwd=str(home), ephemeral=True))
            journal = server.agent(started.thread.id).journal
            journal.emit(TurnStarted("turn", 0, "scripted", "ollama", str(home), "", ""))
            journal.emit(ItemBegan("turn", "item", "message", 0))

            async def tell() -> None:
                for number in range(0, EVENTS, AT_ONCE):
                    for n in range(number, number + AT_ONCE):
                        journal.emit(Delta("turn", "item", f"{TEXT}{n}"))
                    await anyio.lowlevel.checkpoint()

            await anyio.lowlevel.checkpoint()
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            group.start_soon(tell)
            heard = 0
            async for told in client.notifications():
                if isinstance(told, note.AgentMessageDelta):
                    if told.delta != f"{TEXT}{heard}":
                        raise RuntimeError(f"{told.delta!r} is not event {heard}")
                    heard += 1
                    if heard == EVENTS:
                        break
            wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
        group.cancel_scope.cancel()
    return wall_s * 1e6 / EVENTS, cpu_s * 1e6 / EVENTS


async def _start(contender: Contender, base_url: str) -> tuple[float, float]:
    """Return the seconds from the start of the process until it answered `initialize`.

    Once as the clock says, once without what its threads spent ready to run and not running.
    """
    env = contender.environment()
    words = argv(contender, base_url)
    began_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(
        json.dumps({"id": 1, "method": "initialize", "params": HELLO}).encode() + b"\n"
    )
    while json.loads(await process.stdout.readline()).get("id") != 1:
        pass
    took_s = time.perf_counter() - began_s
    waited_s = _waited_s(process.pid)
    process.stdin.close()
    await process.wait()
    return took_s, took_s - waited_s


def _waited_s(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


async def _nobody(method: str, params: bytes) -> Any:
    raise AssertionError(f"asked {method}: {params!r}")
