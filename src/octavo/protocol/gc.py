"""Letting go of what octavo keeps and nobody needs: `octavo/gc`. See `agent.gc`."""

# No `annotations` of the future: msgspec would have to evaluate their text at every start.

from typing import Annotated, Literal

import msgspec

from octavo.protocol.methods import Method

Amount = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]

GcKind = Literal["snapshots", "output", "lock", "log", "write", "clone", "index"]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class GcParams(_Wire, frozen=True):
    """Limits that are not given are those of the settings (`gc.…`).

    Attributes:
        apply: do it. Without, nothing is changed, and the result is what would be done.
    """

    apply: bool = False
    max_age_days: Amount | None = None
    snapshots_bytes: Amount | None = None
    outputs_bytes: Amount | None = None


class GcStep(_Wire, frozen=True):
    """One thing that is let go.

    Attributes:
        kind: "snapshots" of one workspace, the kept "output" of a command, a "lock" nobody holds, a
            "log" without an event, a "write" that was cut off, a "clone" left in the temporary
            folder, the "index".
        path: where it is.
        detail: one line for a person.
        bytes: what this frees, about; archives are not counted.
        archives: whether some of it exists nowhere else and is put away first.
        failed: why it was not done after all.
    """

    kind: GcKind
    path: str
    detail: str
    bytes: int
    archives: bool = False
    failed: str | None = None


class GcKept(_Wire, frozen=True):
    """What is past a limit and stays all the same, and why."""

    what: str
    why: str


class GcResult(_Wire, frozen=True):
    """What was done, or with `applied` false would be.

    Attributes:
        archives: the files that were written, for what exists nowhere else. They are never removed.
        freed_bytes: of the steps that did not fail.
    """

    applied: bool
    steps: tuple[GcStep, ...]
    kept: tuple[GcKept, ...]
    archives: tuple[str, ...]
    freed_bytes: int


GC = Method("octavo/gc", GcParams, GcResult)
