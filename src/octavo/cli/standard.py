"""Standard input, output and errors that were closed from the start."""

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
