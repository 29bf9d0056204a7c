"""Four sandboxed `echo hi`, then a message: what a small job costs from start to end."""

from __future__ import annotations

from harness import MIB, MS, Bench, Row, exec_call, medians, message


def measure(bench: Bench) -> list[Row]:
    """Time, memory and CPU of whole runs."""
    cwd = bench.workspace()
    with bench.model([exec_call("echo hi") | {"times": 4}, message()]) as model:
        found = bench.in_turns(lambda one: model.run(one, cwd=cwd, requests=5))
        trees = bench.in_turns(
            lambda one: model.run(one, cwd=cwd, requests=5, watch_tree=True),
            runs=min(3, bench.runs),
            warm=False,
        )
    return [
        Row(
            "Five-step run, wall",
            "ms",
            medians(found, lambda run: run.wall_s, scale=MS),
            goal_ratio=0.35,
        ),
        Row(
            "Five-step run, peak memory of the process",
            "MiB",
            medians(found, lambda run: run.peak_bytes, scale=MIB),
            goal_ratio=0.40,
        ),
        Row(
            "Five-step run, peak memory of the process tree",
            "MiB",
            medians(trees, lambda run: run.tree_bytes, scale=MIB),
            note="proportional share of shared pages, sampled every 10 ms",
        ),
        Row(
            "Five-step run, CPU time with all children",
            "ms",
            medians(found, lambda run: run.cpu_s, scale=MS),
        ),
    ]
