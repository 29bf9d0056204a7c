"""From the start of the process until the model's server has its first request."""

from __future__ import annotations

from harness import MS, Bench, Row, medians, message


def measure(bench: Bench) -> list[Row]:
    """Runs that say nothing but hello."""
    cwd = bench.workspace()
    with bench.model([message()]) as model:
        found = bench.in_turns(lambda one: model.run(one, cwd=cwd, requests=1))
    return [
        Row(
            "Start to first request",
            "ms",
            medians(found, lambda run: run.first_request_s, scale=MS),
            goal_ratio=0.6,
        ),
        Row("Run of one message, wall", "ms", medians(found, lambda run: run.wall_s, scale=MS)),
    ]
