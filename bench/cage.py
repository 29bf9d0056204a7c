"""The sandbox through its API: what a command costs, many at once, killing, output, starting.

Codex has no API for its sandbox; beside these stands its `codex sandbox`, in turns with octavo's
`true`, since that is what it pays for each command.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import anyio
from harness import MS, Bench, Contender, Row

from octavo.sandbox import Command, Mode, Policy, Sandbox, open_sandbox

TIMES, BESIDE = 200, 20
AT_ONCE, EACH = 8, 60
HOSTILE = """
import os, signal
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for number in range(200):
    if os.fork() == 0:
        if number % 2:
            os.setsid()
        signal.pause()
        os._exit(0)
print("up", flush=True)
signal.pause()
"""
PRINT = f"yes {'0123456789' * 8} | head -c 200000000"


def measure(bench: Bench) -> list[Row]:
    """Measure all of it in this process."""
    rows: list[Row] = []
    cwd = bench.workspace()
    policy = Policy(Mode.WORKSPACE_WRITE, cwd)
    anyio.run(_measure, bench, policy, rows)
    return rows


async def _measure(bench: Bench, policy: Policy, rows: list[Row]) -> None:
    env = dict(os.environ)
    true = Command(("true",), policy.cwd, env)
    async with open_sandbox(policy) as sandbox:
        await sandbox.ready()
        peers = list(bench.contenders[1:2])
        mine, floor, theirs = await _turns(sandbox, true, peers, policy.cwd)
        values = {"octavo": median(mine) * MS}
        values |= {one.name: median(theirs) * MS for one in peers}
        note = f"`subprocess.run` took {median(floor) * MS:.2f} ms in the same turns"
        rows.append(Row("sandboxed `true`, warm", "ms", values, 2.0, 1 / 8, note))
        late = sorted(mine)[TIMES * 95 // 100] * MS
        rows.append(Row("sandboxed `true`, 95th percentile", "ms", {"octavo": late}, 3.5))
        took_s = await _at_once(sandbox, true)
        rows.append(Row("one of eight at a time", "ms", {"octavo": took_s * MS}, 1000 / 350))
        hostile = Command((sys.executable, "-S", "-c", HOSTILE), policy.cwd, env)
        killed = [await _timed(lambda: _kill(sandbox, hostile)) for _ in range(bench.runs)]
        rows.append(
            Row("killing 200 processes that ignore signals", "ms", {"octavo": _ms(killed)}, 25)
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        printing = Command(("sh", "-c", PRINT), policy.cwd, env)
        read = [await _timed(lambda: _run(sandbox, printing)) for _ in range(bench.runs)]
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        rows.append(Row("200 MB of output through the sandbox", "ms", {"octavo": _ms(read)}, 300))
        rows.append(Row("… more memory", "MiB", {"octavo": grown}, 5))
    started = [await _start(policy) for _ in range(max(bench.runs, 7))]
    rows.append(Row("start of the sandbox", "ms", {"octavo": _ms(started)}, 45))


async def _turns(
    sandbox: Sandbox, true: Command, peers: list[Contender], cwd: Path
) -> tuple[list[float], list[float], list[float]]:
    for _ in range(BESIDE):
        await _run(sandbox, true)
    mine: list[float] = []
    floor: list[float] = []
    theirs: list[float] = []
    for number in range(TIMES):
        mine.append(await _timed(lambda: _run(sandbox, true)))
        began_s = time.perf_counter()
        subprocess.run(["true"], check=True)  # noqa: ASYNC221 - nothing else is to run meanwhile
        floor.append(time.perf_counter() - began_s)
        for peer in peers if number % (TIMES // BESIDE) == 0 else ():
            began_s = time.perf_counter()
            subprocess.run(  # noqa: ASYNC221 - nothing else is to run meanwhile
                [*peer.argv, "sandbox", "--", "true"],
                check=True,
                cwd=cwd,
                env=peer.environment(),
                capture_output=True,
            )
            theirs.append(time.perf_counter() - began_s)
        await anyio.sleep(0.004)  # the pool is filled again, as between a model's calls
    return mine, floor, theirs


async def _at_once(sandbox: Sandbox, true: Command) -> float:
    """Return seconds a command while eight run at a time."""

    async def some() -> None:
        for _ in range(EACH):
            await _run(sandbox, true)

    began_s = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(some)
    return (time.perf_counter() - began_s) / (AT_ONCE * EACH)


async def _run(sandbox: Sandbox, command: Command) -> float | None:
    process = await sandbox.spawn(command)
    while await process.read():
        pass
    await process.wait()
    return None


async def _kill(sandbox: Sandbox, command: Command) -> float:
    process = await sandbox.spawn(command)
    said = b""
    while b"up" not in said:
        said += await process.read()
    began_s = time.perf_counter()
    await process.kill()
    while await process.read():
        pass
    return time.perf_counter() - began_s


async def _start(policy: Policy) -> float:
    began_s = time.perf_counter()
    async with open_sandbox(policy) as sandbox:
        await sandbox.ready()
        return time.perf_counter() - began_s


async def _timed(what: Callable[[], Awaitable[float | None]]) -> float:
    """Return what it says it took, or else what it did take."""
    began_s = time.perf_counter()
    said = await what()
    return time.perf_counter() - began_s if said is None else said


def _ms(seconds: list[float]) -> float:
    return median(seconds) * MS
