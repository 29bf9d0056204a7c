"""What a step costs besides the model: a reply's end, one sandboxed `echo hi`, the next request."""

from __future__ import annotations

from statistics import median

from harness import MS, Bench, Row, exec_call, medians, message

STEPS = 12


def measure(bench: Bench) -> list[Row]:
    """The median step of each run, after the first two, while which things are still warming up."""
    cwd = bench.workspace()
    with bench.model([exec_call("echo hi") | {"times": STEPS}, message()]) as model:
        found = bench.in_turns(lambda one: model.run(one, cwd=cwd, requests=STEPS + 1))
    return [
        Row(
            "One sandboxed `echo hi` step, reply end to next request",
            "ms",
            medians(found, lambda run: median(run.gaps_s[2:]), scale=MS),
            goal=12,
            goal_ratio=0.15,
        ),
        Row(
            "First step of a run, likewise",
            "ms",
            medians(found, lambda run: run.gaps_s[0], scale=MS),
        ),
    ]
