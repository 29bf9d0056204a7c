"""64 threads at once in one app-server, then 512: each four sandboxed `echo hi`, then a message."""

from __future__ import annotations

from statistics import median

from harness import MIB, Bench, Contender, Row, exec_call, message
from load import Load, load

THREADS = 64
MORE_THREADS = 512
WALL_RUNS = 3
SCRIPT = [exec_call("echo hi") | {"times": 4}, message()]


def measure(bench: Bench) -> list[Row]:
    """Time and CPU of runs that nobody watches, memory of one that is sampled."""
    contenders = bench.contenders[:2]
    runs = min(WALL_RUNS, bench.runs)
    with bench.model(SCRIPT) as model:

        def go(one: Contender, threads: int, *, watch: bool = False) -> Load:
            return load(one, model.base_url, threads, bench.place, watch=watch)

        found: dict[str, list[Load]] = {one.name: [] for one in contenders}
        for _ in range(runs):
            for one in contenders:
                found[one.name].append(go(one, THREADS))
        watched = {one.name: go(one, THREADS, watch=True) for one in contenders}
        many = go(bench.octavo, MORE_THREADS)
        many_watched = go(bench.octavo, MORE_THREADS, watch=True)
    few = watched[bench.octavo.name]
    more = (many_watched.tree_bytes - few.tree_bytes) / (MORE_THREADS - THREADS)
    walls = {name: median(one.wall_s for one in loads) for name, loads in found.items()}
    cpu = {name: median(one.cpu_s for one in loads) for name, loads in found.items()}
    trees = {name: one.tree_bytes * MIB for name, one in watched.items()}
    return [
        Row(f"{THREADS} threads at once, wall", "s", walls, goal_ratio=0.20),
        Row(f"{THREADS} threads at once, CPU time with all children", "s", cpu),
        Row(
            f"{THREADS} threads at once, peak memory of the process tree",
            "MiB",
            trees,
            goal_ratio=0.25,
            note="proportional share of shared pages, sampled four times a second",
        ),
        Row(f"{MORE_THREADS} threads at once, wall", "s", {"octavo": many.wall_s}),
        Row("… CPU time with all children", "s", {"octavo": many.cpu_s}),
        Row("… peak memory of the process tree", "MiB", {"octavo": many_watched.tree_bytes * MIB}),
        Row("… for each more thread", "MiB", {"octavo": more * MIB}, goal=3.0),
    ]
