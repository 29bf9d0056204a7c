"""The table of the benchmarks, for a terminal and for docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness import Bench, Contender, Row

PEER = "codex"


def ratio(row: Row) -> float | None:
    """Return octavo's share of Codex's value; None where there is none."""
    peer = row.values.get(PEER)
    return row.values["octavo"] / peer if peer else None


def verdict(row: Row) -> str:
    """Say what the goal is and whether it is met."""
    goals: list[tuple[str, bool]] = []
    if row.goal is not None:
        goals.append((f"≤ {row.goal:.3g} {row.unit}", row.values["octavo"] <= row.goal))
    share = ratio(row)
    if row.goal_ratio is not None and share is not None:
        goals.append((f"≤ {row.goal_ratio:.2f} of Codex", share <= row.goal_ratio))
    return "; ".join(f"{text} {'✓' if met else '✗'}" for text, met in goals)


def cells(row: Row, contenders: Sequence[Contender]) -> list[str]:
    """Return the row's texts, one a column."""
    values = [row.values.get(one.name) for one in contenders]
    share = ratio(row)
    return [
        row.what,
        *("–" if value is None else f"{_rounded(value)} {row.unit}" for value in values),
        *([] if len(contenders) == 1 else ["–" if share is None else f"{share:.2f}"]),
        verdict(row),
    ]


def header(contenders: Sequence[Contender]) -> list[str]:
    """Return the names of the columns."""
    ratios = ["octavo / codex"] if len(contenders) > 1 else []
    return ["", *(one.name for one in contenders), *ratios, "goal"]


def print_rows(rows: Sequence[Row], contenders: Sequence[Contender]) -> None:
    """Print the table."""
    table = [header(contenders), *(cells(row, contenders) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        first, *others = zip(line, widths, strict=True)
        texts = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others[:-1])]
        print("  ".join([*texts, line[-1]]).rstrip())


def write_document(path: Path, rows: Sequence[Row], bench: Bench) -> None:
    """Write the table, and under what it was measured."""
    names = header(bench.contenders)
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {time.strftime('%Y-%m-%d', time.gmtime())} with `make bench`: medians of"
        f" {bench.runs} runs of each, in turns, against the same scripted model server on the"
        " loopback interface, with empty homes. `codex` is the binary in the npm package,"
        " `codex (npm)` the launcher that npm puts on the path. Memory is the peak of the resident"
        " set of the process; ratios are to `codex`.",
        "",
        f"- Machine: {machine()}",
        *(f"- {one.name}: {one.version()}" for one in bench.contenders[:2]),
        "- Commands: `octavo exec` and `codex exec`, each with"
        " `--json --skip-git-repo-check -s workspace-write -m gpt-5.5` and a `model_providers`"
        " table that names the scripted server.",
        "",
        f"| {' | '.join(names)} |",
        f"| --- |{' ---: |' * (len(names) - 2)} --- |",
        *(f"| {' | '.join(cells(row, bench.contenders))} |" for row in rows),
        "",
        *(f"{row.what}: {row.note}.\n" for row in rows if row.note),
        "The long thread is run three times with octavo and once with Codex; each run holds a"
        " thousand steps, and a figure is the median of ten or more of them.",
        "",
    ]
    path.write_text("\n".join(lines))


def machine() -> str:
    """Describe this machine: processor, cores, memory, kernel, Python."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    kernel = platform.release().split("-")[0]
    return (
        f"{processor}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, {platform.system()} {kernel},"
        f" Python {sys.version.split()[0]}"
    )


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
