"""What the user says while a turn runs: steering, heard before the next request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from octavo.protocol.events import External
from octavo.protocol.inputs import UserInput


class Said(msgspec.Struct, frozen=True):
    """One thing the user said, or another program; `raw` is the model item it becomes."""

    inputs: Sequence[UserInput]
    raw: bytes
    client_id: str | None = None
    external: External | None = None


class Inbox:
    """What was said and not yet heard, oldest first."""

    def __init__(self) -> None:
        self._said: list[Said] = []

    def put(self, said: Said) -> None:
        self._said.append(said)

    def take(self) -> list[Said]:
        """Return what was said since the last time."""
        said, self._said = self._said, []
        return said
