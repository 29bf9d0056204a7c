"""A process that writes a log, for tests that end it, starve it or get in its way.

`python -m tests.store.writer endless HOME` appends numbered events without end and says each
number after it was appended; `hold LOG` holds a log until its stdin ends; `starve LOG BYTES`
lets no file grow over BYTES, appends until that fails, lifts the limit and appends once more.
"""

from __future__ import annotations

import fcntl
import os
import random
import resource
import sys
from pathlib import Path

from tests.store.events import AT_MS, THREAD_ID, noticed, started

from octavo.protocol.errors import StoreError
from octavo.store.rollout import Rollout


def endless(home: Path) -> None:
    rollout = Rollout.create(home, THREAD_ID, AT_MS)
    rollout.append(started())
    number = 0
    while True:
        rollout.append(noticed(number, random.randrange(200_000)))
        os.write(1, f"{number:<1023}\n".encode())  # wide, so that a full pipe stops it soon
        number += 1


def hold(path: Path) -> None:
    with Rollout.open(path):
        os.write(1, b"held\n")
        sys.stdin.read()


def starve(path: Path, limit_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    with Rollout.open(path) as rollout:
        _append_until_it_fails(rollout)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        rollout.append(noticed(1000))


def starve_what_cannot_shrink(link: Path, limit_bytes: int) -> None:
    """As `starve`, but the file refuses ftruncate, and is copied out at the end."""
    fd = os.memfd_create("log", os.MFD_ALLOW_SEALING)
    os.write(fd, link.read_bytes())
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    link.unlink()
    link.symlink_to(f"/proc/{os.getpid()}/fd/{fd}")
    starve(link, limit_bytes)
    data = os.pread(fd, 1 << 20, 0)
    link.unlink()
    link.write_bytes(data)


def fill(home: Path, ballast: Path) -> None:
    """Write to a small file system until it is full, make room, and go on."""
    ballast.write_bytes(b"x" * 100_000)
    with Rollout.create(home, THREAD_ID, AT_MS) as rollout:
        rollout.append(started())
        _append_until_it_fails(rollout)
        ballast.unlink()
        rollout.append(noticed(1000))
        rollout.sync()
        os.write(1, rollout.path.read_bytes())


def _append_until_it_fails(rollout: Rollout) -> None:
    for number in range(1000):
        try:
            rollout.append(noticed(number, 1000))
        except StoreError as failure:
            os.write(2, f"{failure}\n".encode())
            return


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["endless", home]:
            endless(Path(home))
        case ["hold", path]:
            hold(Path(path))
        case ["starve", path, limit]:
            starve(Path(path), int(limit))
        case ["starve-sealed", path, limit]:
            starve_what_cannot_shrink(Path(path), int(limit))
        case ["fill", home, ballast]:
            fill(Path(home), Path(ballast))
