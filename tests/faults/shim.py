"""`octavo exec` whose own files fail to be written where a test says; see shim.c."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path

import msgspec

from tests.scenarios import processes
from tests.scenarios.processes import Place, Run

SOURCE = Path(__file__).with_name("shim.c")


class Told(msgspec.Struct, frozen=True):
    """What the shim tells of a process.

    Attributes:
        failed: the operations that were made to fail, each with its path.
        operations: how many there were on octavo's files; None if the process was killed.
        written_bytes: what was written to them.
    """

    failed: tuple[str, ...]
    operations: int | None
    written_bytes: int


def build(folder: Path) -> Path | None:
    """Compile the shim into `folder`; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


async def begin(
    place: Place,
    base_url: str,
    *words: str,
    shim: Path,
    at: int = 0,
    errno: int = 0,
    lasting: bool = False,
) -> Run:
    """Start `octavo exec` whose operation number `at` fails with `errno`.

    Args:
        lasting: all that follow fail as well.
    """
    env = place.env(
        LD_PRELOAD=str(shim),
        FAULT_HOME=str(place.home),
        FAULT_AT=str(at),
        FAULT_ERRNO=str(errno),
        FAULT_ON=str(int(lasting)),
        FAULT_TOLD=str(_told(place)),
    )
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", 'FAULT_PID=$$ exec "$@"', "sh"),
        *processes.argv(base_url, *words),
        cwd=place.work,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 26,
    )
    return Run(place, process)


def told(place: Place) -> Told:
    """Return what the shim said, and forget it."""
    path = _told(place)
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    failed = tuple(line for line in lines if not line.startswith("total "))
    totals = [line.split()[1:] for line in lines if line.startswith("total ")]
    if not totals:
        return Told(failed, None, 0)
    [[operations, written]] = totals
    return Told(failed, int(operations), int(written))


def _told(place: Place) -> Path:
    return place.root / "told"
