"""All cases, in the order of their attacks."""

from __future__ import annotations

from octavo.trial.attack import Case, paths

CASES: tuple[Case, ...] = tuple(
    sorted((*paths.CASES,), key=lambda case: case.attack)
)
