"""`apply_patch` with three hunks on a file of 100,000 lines."""

from __future__ import annotations

from harness import MS, Bench, Contender, Row, Run, medians, message

LINES = 100_000
CHANGED = (10, LINES // 2, LINES - 10)


def measure(bench: Bench) -> list[Row]:
    """From the reply that asks for the patch to the request that carries its result."""
    cwd = bench.workspace()
    path = cwd / "long.txt"
    before = [f"line {n} of the long file" for n in range(1, LINES + 1)]
    after = list(before)
    hunks = []
    for n in CHANGED:
        after[n - 1] = f"line {n}, changed"
        hunk = [f" {before[n - 2]}", f"-{before[n - 1]}", f"+{after[n - 1]}", f" {before[n]}"]
        hunks.append("\n".join(["@@", *hunk]))
    text = "\n".join(["*** Begin Patch", "*** Update File: long.txt", *hunks, "*** End Patch"])
    script = [{"parts": [{"type": "custom", "name": "apply_patch", "input": text}]}, message()]
    with bench.model(script) as model:

        def run(one: Contender) -> Run:
            path.write_text("\n".join(before) + "\n")
            done = model.run(one, cwd=cwd, requests=2)
            if path.read_text() != "\n".join(after) + "\n":
                raise RuntimeError(f"{one.name} did not apply the patch")
            return done

        found = bench.in_turns(run, contenders=bench.contenders[:2])
    return [
        Row(
            "apply_patch, three hunks in 100,000 lines, reply end to next request",
            "ms",
            medians(found, lambda run: run.gaps_s[0], scale=MS),
        )
    ]
