"""Whoever is killed while a cage starts, nothing of it is left.

A `bwrap` is the hard case. Its child waits in the read of an event counter until `bwrap` has
written its user map, and would wait for ever if that were killed before. That moment is found, not
guessed: each `bwrap` is stopped as soon as it has a child, and goes on if that was too late.
"""

from __future__ import annotations

import ctypes
import os
import random
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from octavo.sandbox import Mode, Policy
from octavo.sandbox.cage import guard, words
from octavo.sandbox.keeper import start_keeper
from octavo.sandbox.ordered import Ordered
from tests.sampling import sample
from tests.tiers import machine_has

_DEADLINE_S = 20
_TRIES, _STARTS = 2000, 20
_START_S = 0.08

Who = Literal["octavo", "keeper", "bwrap"]


class Starting:
    """A cage that is on its way, of one tier."""

    def __init__(self, where: Path, tier: str) -> None:
        # Others on this machine put things into the host's /tmp meanwhile, and take them away.
        policy = Policy(mode=Mode.WORKSPACE_WRITE, cwd=where, tmp="private")
        ordered = Ordered(policy, (tier,), start_keeper())
        self._sock, self.keeper = ordered.zygote, ordered.keeper

    def is_ready(self) -> bool:
        """Wait until it is; False if it cannot be, as what it should mask has just gone."""
        message, fds = words.receive(self._sock)
        _close(fds)
        return message.startswith(words.READY)

    def ask(self, count: int = 1) -> None:
        words.send(self._sock, words.MORE * count)

    def receive(self) -> None:
        _close(words.receive(self._sock)[1])

    def kill(self, who: Who) -> None:
        """Kill one of them; for octavo, do what the kernel does when it is killed."""
        if who == "keeper":
            os.kill(self.keeper, signal.SIGKILL)
        elif who == "bwrap":
            for pid in guard.children(self.keeper):
                guard.send(pid, signal.SIGKILL)
        if who != "bwrap":
            self._sock.close()

    def end(self) -> None:
        """Wait for the keeper, as its supervisor does."""
        self._sock.close()
        pidfd = os.pidfd_open(self.keeper)
        assert _ends(pidfd), "the keeper goes on"
        os.close(pidfd)
        os.waitpid(self.keeper, 0)


@pytest.mark.parametrize("who", ["octavo", "keeper", "bwrap"])
def test_a_bwrap_whose_child_waits_for_it_leaves_nothing(
    who: Who, workspace: Callable[[], Path]
) -> None:
    starting = _ready(workspace())
    bwrap, child = _stopped_in_its_start(starting, known=who == "octavo")

    starting.kill(who)
    if who == "octavo":  # its keeper ends the child, not `bwrap`
        assert _ends(child), "the child of bwrap waits for it"
    guard.send(bwrap, signal.SIGCONT)
    starting.end()

    assert _ends(child), "the child of bwrap waits for it"
    os.close(child)


def _ready(where: Path) -> Starting:
    """Return a cage that waits to be asked for processes."""
    if not machine_has("bubblewrap"):
        pytest.skip("no bubblewrap here")
    for _ in range(_STARTS):
        starting = Starting(where, "bubblewrap")
        if starting.is_ready():
            return starting
        starting.end()
    pytest.fail(f"None of {_STARTS} cages could be made.")


def _stopped_in_its_start(starting: Starting, *, known: bool) -> tuple[int, int]:
    """Return a stopped `bwrap`, and a pidfd of its child that waits for it.

    Args:
        starting: the cage.
        known: the keeper has been told of the child.
    """
    for _ in range(_TRIES):
        before = set(guard.children(starting.keeper))
        starting.ask()
        while not (new := set(guard.children(starting.keeper)) - before):
            pass
        bwrap = new.pop()
        while not (first := guard.children(bwrap)):
            pass
        if known:
            starting.receive()
        if not guard.send(bwrap, signal.SIGSTOP):
            continue
        while _state(bwrap) not in "TZ":
            pass
        if _waits_for_its_map(first[0]):
            return bwrap, os.pidfd_open(first[0])
        guard.send(bwrap, signal.SIGCONT)
        if not known:
            starting.receive()
    pytest.fail(f"None of {_TRIES} was stopped in its start.")


def _waits_for_its_map(pid: int) -> bool:
    """Whether a process waits in a system call on an event counter."""
    try:
        call = Path(f"/proc/{pid}/syscall").read_text().split()
        return os.readlink(f"/proc/{pid}/fd/{int(call[1], 16)}") == "anon_inode:[eventfd]"
    except (OSError, IndexError, ValueError):
        return False


@pytest.mark.parametrize("who", ["octavo", "keeper", "bwrap"])
def test_whenever_it_is_killed_nothing_of_a_cage_is_left(
    who: Who, tier: str, workspace: Callable[[], Path], adopting: None
) -> None:
    if not machine_has(tier) or (who == "bwrap" and tier != "bubblewrap"):
        pytest.skip("there is none")
    where = workspace()
    moments = random.Random(29)
    before = set(guard.children(os.getpid()))
    for number in range(sample(700, 6)):
        starting = Starting(where, tier)
        if number % 3 and starting.is_ready():
            starting.ask(3)
        time.sleep(moments.uniform(0, _START_S / 4 if number % 3 else _START_S))
        starting.kill(who)
        starting.end()

    left = set(guard.children(os.getpid())) - before
    for pid in left:
        pidfd = os.pidfd_open(pid)
        assert _ends(pidfd), f"{pid} is left"
        os.close(pidfd)
        os.waitpid(pid, 0)


@pytest.fixture
def adopting() -> Iterator[None]:
    """Make whatever loses its parent meanwhile a child of this process."""
    prctl, subreaper = ctypes.CDLL(None).prctl, 36
    assert prctl(subreaper, 1, 0, 0, 0) == 0
    yield
    prctl(subreaper, 0, 0, 0, 0)


def _state(pid: int) -> str:
    """Return the letter for what a process is doing; Z too when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def _ends(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], _DEADLINE_S)[0])


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
