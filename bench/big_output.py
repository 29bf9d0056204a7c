"""A command that prints 200 MB, and another after it, to show that the session lives."""

from __future__ import annotations

import shutil

from harness import MIB, MS, Bench, Contender, Row, Run, exec_call, medians, message

PRINT = f"yes {'0123456789' * 8} | head -c 200000000; echo printed-$((6 * 7))"


def measure(bench: Bench) -> list[Row]:
    """Time from the reply that asks for the output to the request that carries it."""
    cwd = bench.workspace()
    script = [
        exec_call(PRINT, yield_time_ms=30_000),
        exec_call("echo alive-$((6 * 7))"),
        message(),
    ]
    with bench.model(script, bodies=True) as model:

        def run(one: Contender) -> Run:
            done = model.run(one, cwd=cwd, requests=3)
            if "printed-42" not in done.last_body:
                raise RuntimeError(f"{one.name} did not wait for the output")
            if "alive-42" not in done.last_body:
                raise RuntimeError(f"{one.name} did not outlive the output")
            shutil.rmtree(one.home / "state" / "outputs", ignore_errors=True)
            return done

        found = bench.in_turns(run, contenders=bench.contenders[:2])
    return [
        Row(
            "200 MB of output, time",
            "ms",
            medians(found, lambda run: run.gaps_s[0], scale=MS),
            note="octavo also keeps it in a file",
        ),
        Row(
            "200 MB of output, peak memory of the process",
            "MiB",
            medians(found, lambda run: run.peak_bytes, scale=MIB),
            goal=60,
        ),
    ]
