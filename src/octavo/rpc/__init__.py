"""JSON-RPC between octavo's parts, and to the outside: a peer that knows no method by name.

Frames are the app-server's: JSON-RPC 2.0 without the `jsonrpc` member. A `Link` carries frames
(`memory` inside a process); a `Peer` makes requests, notifications and answers of them.
"""

from __future__ import annotations

from typing import Any, Protocol


class LinkClosed(Exception):
    """The other side is gone; nothing more will come or arrive."""


class Link(Protocol):
    """A two-way pipe of whole frames, in order."""

    async def send(self, frame: bytes) -> None:
        """Hand over a frame; waits while the other side is behind. Raises LinkClosed."""

    async def receive(self) -> bytes:
        """Return the next frame. Raises LinkClosed."""

    def close(self) -> None:
        """Close both directions. Frames already sent still arrive."""


class RpcError(Exception):
    """A request was refused.

    Attributes:
        code: JSON-RPC's number: PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMS or INTERNAL.
        data: more, for programs.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


PARSE = -32700
INVALID_REQUEST = -32600
NO_METHOD = -32601
BAD_PARAMS = -32602
INTERNAL = -32603
