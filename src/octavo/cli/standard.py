"""Standard input, output and errors: closed from the start, or a protocol's own."""

from __future__ import annotations

import os
import sys


def open_standard_files() -> None:
    """Give what was closed a file of its own, so that no other one gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def take_standard_files() -> tuple[int, int]:
    """Return descriptors of the protocol's own; whatever else prints or reads cannot reach it."""
    into, out = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return into, out


def say_who_talks_here(who: str, words: str) -> None:
    """Say who is waited for, where a person started this: the terminal would just be silent."""
    if os.isatty(0):
        print(
            f"octavo: {who} starts this, and talks to it here in {words}. Ctrl-C ends it.",
            file=sys.stderr,
            flush=True,
        )
