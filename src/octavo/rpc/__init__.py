"""JSON-RPC between octavo's parts, and to the outside: a peer that knows no method by name.

Frames are the app-server's: JSON-RPC 2.0 without the `jsonrpc` member. A `Link` carries frames
(`memory` inside a process, `stream` over pipes and sockets); a `Peer` makes requests, notifications
and answers of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class LinkClosed(Exception):
    """The other side is gone; nothing more will come or arrive."""


class FrameTooLong(Exception):
    """A frame was longer than the link takes. It is gone; the next one is not affected."""


class Link(Protocol):
    """A two-way pipe of whole frames, in order.

    One whose `send` is often done at once may also have `send_now`; see `rpc.websocket`.
    """

    async def send(self, frame: bytes) -> None:
        """Hand over a frame; waits while the other side is behind. Raises LinkClosed."""

    async def send_all(self, frames: Sequence[bytes]) -> None:
        """Hand over several at once, which costs less. Raises LinkClosed."""

    async def receive(self) -> bytes:
        """Return the next frame. Raises LinkClosed, FrameTooLong."""

    def close(self) -> None:
        """Close both directions. Frames already sent still arrive."""


class RpcError(Exception):
    """A request was refused.

    Attributes:
        code: JSON-RPC's number: PARSE, INVALID_REQUEST, NO_METHOD, BAD_PARAMS, INTERNAL or
            OVERLOADED.
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
OVERLOADED = -32001
"""The server has too much to do; asked again a little later, it will do it."""
