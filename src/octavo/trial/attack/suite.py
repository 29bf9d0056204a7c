"""All cases, in the order of their attacks."""

from __future__ import annotations

from octavo.trial.attack import (
    Case,
    approvals,
    commands,
    destruction,
    git,
    hooks,
    injection,
    mcp,
    network,
    paths,
    sessions,
    settings,
    skills,
)

_GROUPS = (
    settings,
    paths,
    approvals,
    commands,
    network,
    injection,
    hooks,
    skills,
    mcp,
    git,
    sessions,
    destruction,
)

CASES: tuple[Case, ...] = tuple(
    sorted((case for group in _GROUPS for case in group.CASES), key=lambda case: case.attack)
)
