"""How often a test does a thing it should do very often.

`make test` takes a sample, `make prove` (OCTAVO_PROVE=1) the full count; nothing else differs.
"""

from __future__ import annotations

import os

PROVE = os.environ.get("OCTAVO_PROVE") == "1"


def sample(full: int, fast: int) -> int:
    """Return `full` under `make prove`, else `fast`."""
    return full if PROVE else fast
