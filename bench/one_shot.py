"""`octavo sandbox -- true` beside `codex sandbox -- true`, from start to end."""

from __future__ import annotations

import subprocess
import time
from statistics import median

from harness import MS, Bench, Contender, Row


def measure(bench: Bench) -> list[Row]:
    """In turns, so that whatever else the machine does meets both alike."""
    cwd = bench.workspace()
    contenders = bench.contenders[:2]
    found: dict[str, list[float]] = {one.name: [] for one in contenders}
    for number in range(3 * bench.runs + 1):
        for one in contenders:
            took_s = _run(one, cwd)
            if number:
                found[one.name].append(took_s)
    values = {name: median(times) * MS for name, times in found.items()}
    return [Row("one command in a sandbox of its own", "ms", values, goal_ratio=2.0)]


def _run(one: Contender, cwd: object) -> float:
    began_s = time.perf_counter()
    subprocess.run(
        [*one.argv, "sandbox", "--", "true"],
        check=True,
        cwd=str(cwd),
        env=one.environment(),
        capture_output=True,
    )
    return time.perf_counter() - began_s
