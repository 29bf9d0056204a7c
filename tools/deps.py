"""Prints each package a core install pulls in and what it costs; fails when there are too many.

Import times are of a fresh interpreter, the best of several, over one that imports nothing, and
include what the package itself imports.
"""

from __future__ import annotations

import subprocess
import sys
import time

from packages import licence, locked, modules, needed_by, size_bytes

LIMIT = 14
TRIES = 5


def start_ms(code: str) -> float:
    """Return the milliseconds an interpreter needs to run `code`."""
    best = float("inf")
    for _ in range(TRIES):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, (time.perf_counter() - begun) * 1000)
    return best


def main() -> int:
    """Print the table; exit 1 over the limit."""
    packages = locked()
    askers = needed_by(packages)
    bare_ms = start_ms("pass")
    rows = [("package", "version", "licence", "size", "import", "needed by")]
    total_bytes = 0
    for name, (version, _) in sorted(packages.items()):
        size = size_bytes(name)
        total_bytes += size
        # A namespace package's top level costs nothing: import what is really used of it.
        tops = ["opentelemetry.trace"] if name == "opentelemetry-api" else modules(name)[:1]
        cost = f"{max(0.0, start_ms(f'import {tops[0]}') - bare_ms):.0f} ms" if tops else "–"
        needed = ", ".join(askers[name])
        rows.append((name, version, licence(name), f"{size / 1e6:.1f} MB", cost, needed))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"{len(packages)} packages of at most {LIMIT}, {total_bytes / 1e6:.1f} MB in all")
    if len(packages) > LIMIT:
        print(f"A core install may pull in at most {LIMIT} packages.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
