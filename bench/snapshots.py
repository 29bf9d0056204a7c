"""What keeping a workspace's files costs: 50,000 files, at first, at each turn, with changes.

In this process, on real files; there is nothing of Codex to put beside it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from statistics import median

from harness import MS, Bench, Row

from octavo.workspace.snapshot import Span
from octavo.workspace.snapshot.store import Store

FOLDERS, FILES_EACH = 1_000, 50
CHANGED = 100
TIMES = 7


def measure(bench: Bench) -> list[Row]:
    """Measure all of it in this process."""
    place = bench.place / "snapshots"
    root = place / "work"
    files = [
        root / f"d{folder % 50}" / f"e{folder}" / f"file{number}.py"
        for folder in range(FOLDERS)
        for number in range(FILES_EACH)
    ]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"x{number}\n" * 20)
    store = Store(root, place / "kept")
    first = _ms(store.take)
    time.sleep(0.1)  # files are taken to be unchanged once their times are past for certain
    store.take()
    unchanged = median(_ms(store.take) for _ in range(TIMES))
    changed = []
    for turn in range(TIMES):
        for file in files[turn :: len(files) // CHANGED][:CHANGED]:
            file.write_text(f"{turn}\n" * 50)
        changed.append(_ms(store.take))
    kept_bytes = sum(file.stat().st_size for file in (place / "kept").iterdir())
    undone = _ms(lambda: store.undo([Span(1)]))
    shutil.rmtree(place)
    rows = (
        ("First snapshot of 50,000 files", first, 8_000.0, f"{kept_bytes / 1e6:.1f} MB kept"),
        ("… of 50,000 files, nothing changed", unchanged, 150.0, ""),
        ("… of 50,000 files, 100 changed", median(changed), 300.0, ""),
        (f"Undoing {CHANGED * TIMES} changed files of 50,000", undone, None, ""),
    )
    return [Row(name, "ms", {"octavo": value}, goal, None, why) for name, value, goal, why in rows]


def _ms(work: Callable[[], object]) -> float:
    before_s = time.perf_counter()
    work()
    return (time.perf_counter() - before_s) * MS
