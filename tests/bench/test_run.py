"""The benchmarks run and print their figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "bench/run.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_figure_is_printed_beside_a_peers_with_their_ratio(tmp_path: Path) -> None:
    octavo = Path(sys.executable).with_name("octavo")
    peer = tmp_path / "peer"
    peer.symlink_to(octavo)

    done = bench("--runs", "1", "--peer", peer, "five_steps")

    assert done.returncode == 0, done.stderr
    head, wall, memory, *_ = done.stdout.splitlines()
    assert head.split() == ["octavo", "codex", "octavo", "/", "codex", "goal"]
    assert wall.startswith("Five-step run, wall")
    assert memory.startswith("Five-step run, peak memory of the process")
    figures = memory.removeprefix("Five-step run, peak memory of the process").split()
    assert 0 < float(figures[0]) < 100
    assert 0.8 < float(figures[4]) < 1.25
    assert "≤ 0.40 of Codex ✗" in memory


def test_a_contender_that_fails_ends_the_benchmark_with_its_words(tmp_path: Path) -> None:
    broken = tmp_path / "octavo"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n")
    broken.chmod(0o755)

    done = bench("--octavo", broken, "first_request")

    assert done.returncode == 1
    assert "octavo ended with 3" in done.stderr
    assert "no such luck" in done.stderr


def test_an_unknown_figure_is_refused_with_the_known_ones() -> None:
    done = bench("speed")

    assert done.returncode == 2
    assert "no such figure: speed; there are five_steps, " in done.stderr
