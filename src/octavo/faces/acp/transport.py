"""The editor's messages over octavo's own link: one JSON object a line, none too long, none torn.

What is no JSON object is passed over, as the official transport does.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

from octavo.rpc import FrameTooLong, Link, LinkClosed


class Lines:
    """A transport of the official package (`acp.connection.Connection`)."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._whole = anyio.Lock()

    async def send(self, message: dict[str, Any]) -> None:
        """Send one; several at once are written one after another. Raises ConnectionError."""
        frame = msgspec.json.encode(message)
        try:
            async with self._whole:
                await self._link.send(frame)
        except LinkClosed:
            raise ConnectionError("The editor is gone.") from None

    async def receive(self) -> dict[str, Any] | None:
        """The next one; None when there will be none."""
        while True:
            try:
                message = msgspec.json.decode(await self._link.receive())
            except LinkClosed:
                return None
            except (FrameTooLong, msgspec.DecodeError, ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                return message

    async def close(self) -> None:
        """Close both directions."""
        self._link.close()
