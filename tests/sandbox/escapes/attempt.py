"""Try every way out in one cage, on a machine of its own: `python -m … TIER|any ROOT`.

A process of its own, because what a cage hides depends on the home of the process that opens it,
and because the whole of it can then run on an imitated host.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import msgspec

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Mode, Policy
from octavo.sandbox.caged import open_cage
from octavo.sandbox.policy import TIERS
from octavo.sandbox.run import run_caged
from tests.sandbox.escapes import DRIVER, HEAD, Way
from tests.sandbox.escapes.machine import Machine, a_machine
from tests.sandbox.escapes.tables import WAYS

_TIMEOUT_S = 120.0


class Outcome(msgspec.Struct, frozen=True):
    """What came of all ways in one cage."""

    tier: str
    gaps: tuple[str, ...] = ()
    refused: str = ""
    """Why there was no cage."""
    said: dict[str, tuple[str, int]] = {}
    """What each way said, and how it ended."""
    damage: tuple[str, ...] = ()
    """What was not as before, after the ways that the tier has to stop."""
    undone: bool = True
    """The protected names were as before, after all ways."""


async def _attempt(tiers: tuple[str, ...], machine: Machine) -> Outcome:
    policy = Policy(
        mode=Mode.WORKSPACE_WRITE,
        cwd=Path(machine.workspace),
        deny_read=(Path(machine.home, "own-secret"),),
    )
    before, settings = machine.protected(), machine.settings()
    async with open_cage(policy, tiers) as cage:
        try:
            report = await cage.ready()
        except SandboxError as error:
            return Outcome(tier="none", refused=str(error))

        async def try_out(ways: list[Way]) -> dict[str, tuple[str, int]]:
            cases = os.path.join(machine.workspace, "cases.json")
            scripts = {way.name: HEAD + way.script for way in ways}
            Path(cases).write_text(json.dumps(scripts))
            command = Command(
                argv=(sys.executable, "-S", "-c", DRIVER),
                cwd=policy.cwd,
                env=machine.env | {"CASES": cases},
            )
            _, output = await run_caged(cage, command, timeout_s=_TIMEOUT_S, limit_bytes=4 << 20)
            return msgspec.json.decode(output, type=dict[str, tuple[str, int]])

        reduced = report.tier == "landlock"
        said = await try_out([way for way in WAYS if not (way.gap and reduced)])
        damage = machine.damage()
        if reduced:
            said |= await try_out([way for way in WAYS if way.gap])
    reduced = report.tier == "landlock"
    after = machine.settings() if reduced else machine.protected()
    return Outcome(
        tier=report.tier,
        gaps=report.gaps,
        said=said,
        damage=tuple(damage),
        undone=after == (settings if reduced else before),
    )


def main() -> None:
    tier, root = sys.argv[1:]
    with a_machine(root) as machine:
        outcome = anyio.run(_attempt, TIERS if tier == "any" else (tier,), machine)
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
