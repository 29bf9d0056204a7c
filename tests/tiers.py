"""Which tiers of the sandbox this machine can have, as told by others than octavo.

A cage that refuses to open may mean that the machine lacks the mechanism, or that octavo broke.
Only the first is a reason to skip a test, and octavo is no witness in its own case.
"""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
from typing import NoReturn

import pytest

from octavo.sandbox.cage import abi, landlock

_WITNESSES = {
    "namespaces": "unshare --user --map-root-user --mount --pid --net --ipc --fork true",
    "bubblewrap": "bwrap --unshare-all --ro-bind / / --proc /proc --dev /dev true",
}


_ASKS_SINCE = (5, 9)
"""Linux that can be told what to answer, and to give a descriptor with it."""


@functools.cache
def machine_has(tier: str) -> bool:
    """Whether the mechanism of a tier works here without octavo.

    Args:
        tier: one of them, or "broker" for namespaces in which the kernel asks about connections.
    """
    if tier == "landlock":
        return abi.landlock_abi() >= landlock.LEAST_ABI
    if tier == "broker":
        return _kernel_asks() and machine_has("namespaces")
    try:
        return subprocess.run(_WITNESSES[tier].split(), capture_output=True).returncode == 0
    except OSError:
        return False


def _kernel_asks() -> bool:
    """Whether seccomp knows of listeners, as told by the kernel."""
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    get_sizes, sizes = 3, ctypes.create_string_buffer(6)
    seccomp = ctypes.c_long(abi.number("seccomp"))
    return release >= _ASKS_SINCE and ctypes.CDLL(None).syscall(seccomp, get_sizes, 0, sizes) == 0


def skip_or_fail(why: object, *tiers: str) -> NoReturn:
    """Skip the test where the machine has none of `tiers`; fail it where it has one."""
    here = [tier for tier in tiers if machine_has(tier)]
    if here:
        pytest.fail(f"This machine has {' and '.join(here)}, and still: {why}")
    pytest.skip(f"no {' or '.join(tiers)} here: {why}")
