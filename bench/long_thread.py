"""A thread of 1,000 steps: does a step cost more when a thousand came before it?"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from harness import MS, Bench, Row, Run, exec_call, message

STEPS = 1_000
"""The last of them is the message that ends the turn."""
RUNS = 3


def early_s(run: Run) -> float:
    """The median of steps 5 to 15."""
    return median(run.gaps_s[4:15])


def late_s(run: Run) -> float:
    """The median of the last 20 steps."""
    return median(run.gaps_s[-20:])


def measure(bench: Bench) -> list[Row]:
    """Few runs, as each is long and holds a thousand samples; one of the peer, without npm."""
    cwd = bench.workspace()
    contenders = bench.contenders[:2]
    script = [exec_call("echo hi") | {"times": STEPS - 1}, message()]
    with bench.model(script) as model:
        found = {
            one.name: [
                model.run(one, cwd=cwd, requests=STEPS) for _ in range(RUNS if one.is_octavo else 1)
            ]
            for one in contenders
        }
    growth = {
        name: median(late_s(run) / early_s(run) for run in runs) for name, runs in found.items()
    }
    return [
        Row("1,000 steps, step 10", "ms", _medians(found, early_s)),
        Row("1,000 steps, step 1,000", "ms", _medians(found, late_s)),
        Row("1,000 steps, step 1,000 against step 10", "×", growth, goal=1.5),
        Row(
            "1,000 steps, peak memory of the process",
            "MiB",
            {n: median(r.peak_bytes for r in runs) / (1 << 20) for n, runs in found.items()},
        ),
        Row("1,000 steps, wall", "s", {n: median(r.wall_s for r in rs) for n, rs in found.items()}),
    ]


def _medians(found: dict[str, list[Run]], value: Callable[[Run], float]) -> dict[str, float]:
    return {name: median(map(value, runs)) * MS for name, runs in found.items()}
