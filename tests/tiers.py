"""Which tiers of the sandbox this machine can have, as told by others than octavo.

A cage that refuses to open may mean that the machine lacks the mechanism, or that octavo broke.
Only the first is a reason to skip a test, and octavo is no witness in its own case.
"""

from __future__ import annotations

import functools
import subprocess
from typing import NoReturn

import pytest

from octavo.sandbox.cage import abi, landlock

_WITNESSES = {
    "namespaces": "unshare --user --map-root-user --mount --pid --net --ipc --fork true",
    "bubblewrap": "bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev true",
}


@functools.cache
def machine_has(tier: str) -> bool:
    """Whether the mechanism of a tier works here without octavo."""
    if tier == "landlock":
        return abi.landlock_abi() >= landlock.LEAST_ABI
    try:
        return subprocess.run(_WITNESSES[tier].split(), capture_output=True).returncode == 0
    except OSError:
        return False


def skip_or_fail(why: object, *tiers: str) -> NoReturn:
    """Skip the test where the machine has none of `tiers`; fail it where it has one."""
    here = [tier for tier in tiers if machine_has(tier)]
    if here:
        pytest.fail(f"This machine has {' and '.join(here)}, and still: {why}")
    pytest.skip(f"no {' or '.join(tiers)} here: {why}")
