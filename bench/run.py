"""Print the benchmarks; with a Codex to compare with, the ratios of the same run.

make bench                            octavo alone
make bench PEER=path/to/codex         beside Codex: its npm package, launcher or binary
make bench ARGS="five_steps patch"    some figures only
make bench ARGS="--write"             and write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

from harness import Bench, Contender, Row
from report import print_rows, write_document

FIGURES = (
    "five_steps",
    "first_request",
    "step_overhead",
    "long_thread",
    "big_output",
    "resume",
    "patch",
    "assemble",
    "snapshots",
    "cage",
    "one_shot",
    "skills",
    "sessions",
    "file_search",
    "events",
    "followers",
    "many_threads",
    "mcp_servers",
)
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description="Print the benchmarks; with --peer, beside Codex.")
    parser.add_argument("figures", nargs="*", help=f"of: {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--peer", type=Path, help="a Codex: npm package, launcher or binary")
    parser.add_argument("--runs", type=int, default=7, help="runs of each figure (default: 7)")
    parser.add_argument("--write", action="store_true", help="also write docs/benchmarks.md")
    parser.add_argument(
        "--octavo",
        type=Path,
        default=Path(sys.executable).with_name("octavo"),
        help="the octavo to measure (default: the one beside this Python)",
    )
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(
            f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}"
        )
    place = Path.home() / ".cache" / "octavo-bench" / str(time.time_ns())
    place.mkdir(parents=True)
    try:
        contenders = [Contender("octavo", [str(options.octavo)], place / "octavo")]
        if options.peer:
            contenders += peers(options.peer, place)
        bench = Bench(contenders, options.runs, place)
        rows: list[Row] = []
        for name in options.figures or FIGURES:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            found = import_module(name).measure(bench)
            rows += found
        print_rows(rows, contenders)
        if options.write:
            write_document(DOCUMENT, rows, bench)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def peers(path: Path, place: Path) -> list[Contender]:
    """Return the Codex at `path`: its binary, and the npm launcher if that is what was named."""
    path = path.resolve()
    if path.is_dir() and (path / "bin" / "codex.js").is_file():
        path = path / "bin" / "codex.js"
    if path.suffix != ".js":
        return [Contender("codex", [str(path)], place / "codex")]
    packages = path.parents[2]
    binaries = sorted(packages.glob("codex-*/vendor/*/bin/codex"))
    binaries += sorted(path.parents[1].glob("node_modules/@openai/codex-*/vendor/*/bin/codex"))
    launcher = Contender("codex (npm)", ["node", str(path)], place / "codex-npm")
    if not binaries:
        return [launcher._replace(name="codex")]
    return [Contender("codex", [str(binaries[0])], place / "codex"), launcher]


if __name__ == "__main__":
    main()
