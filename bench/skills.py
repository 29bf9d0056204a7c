"""From the start of the process until the first request, with 200 skills and with none.

Octavo three times, in turns: without skills but its own, with 200 of the user's, and with 200 that
were added and whose bytes are compared at each start.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

from harness import MS, Bench, Contender, Row, message

from octavo.context.skills import Root
from octavo.context.skills.folder import read_folder
from octavo.context.skills.lock import Pin
from octavo.context.skills.manage import create, install

SKILLS = 200
RUNS_TIMES = 3
"""A difference of two times is noisier than either."""
_SETTLED_S = 2.1
_SCRIPT = "#!/bin/sh\n# Prints what it is given.\nprintf '%s\\n' \"$@\"\n"


def measure(bench: Bench) -> list[Row]:
    """Runs that say nothing but hello."""
    names = ("none", "own", "added")
    contenders = [
        Contender(name, bench.octavo.argv, bench.place / f"skills-{name}") for name in names
    ]
    for one in contenders:
        one.environment()
    _make(contenders[1].home / "state", pinned=False)
    _make(contenders[2].home / "state", pinned=True)
    time.sleep(_SETTLED_S)  # what changed just now is not remembered
    cwd = bench.workspace()
    with bench.model([message()]) as model:
        found = bench.in_turns(
            lambda one: model.run(one, cwd=cwd, requests=1),
            contenders=contenders,
            runs=bench.runs * RUNS_TIMES,
        )
    none, own, added = (median(run.first_request_s for run in found[name]) * MS for name in names)
    return [
        Row(
            f"{SKILLS} skills, more until the first request", "ms", {"octavo": own - none}, goal=15
        ),
        Row(f"{SKILLS} added skills, likewise", "ms", {"octavo": added - none}, goal=15),
    ]


def _make(home: Path, *, pinned: bool) -> None:
    root = Root(home / "skills", "user")
    for number in range(SKILLS):
        name = f"skill-{number:03}"
        description = f"Does the work of number {number}. Use when the user asks for it, or for it."
        made = root if not pinned else Root(home / "source", "user")
        folder = create(made, name, description).parent
        (folder / "scripts").mkdir()
        (folder / "scripts" / "run.sh").write_text(_SCRIPT)
        if pinned:
            contents = read_folder(folder, keep=True)
            install(root, name, contents, Pin("", {}, "https://example.org/skills"), home)
