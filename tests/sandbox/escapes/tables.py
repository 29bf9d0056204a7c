"""All ways out."""

from __future__ import annotations

from tests.sandbox.escapes import kernel, limits, network, processes, protected, secrets, writes

WAYS = (
    *writes.WAYS, *protected.WAYS, *network.WAYS, *processes.WAYS, *kernel.WAYS, *secrets.WAYS,
    *limits.WAYS,
)  # fmt: skip
