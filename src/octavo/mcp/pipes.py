"""A program's pipes as a transport of the `mcp` package: one message a line, each bounded.

Runs in the cage only. Lines that are no messages are passed over: many programs print something of
their own before they begin. A message that is too long is not kept; whoever waits for it is told.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import mcp_types
from anyio.abc import ByteReceiveStream, ByteSendStream
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from octavo.mcp.words import MESSAGE_LIMIT_BYTES
from octavo.rpc.stream import LineDecoder

_ID = re.compile(rb'"id"\s*:\s*(\d{1,15})')
_ENDS_BYTES = 4096
"""How far from its two ends the id of a message is looked for that is too long to be read."""

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]


@asynccontextmanager
async def program(
    argv: Sequence[str], *, cwd: str, env: Mapping[str, str], at_end: Callable[[], None]
) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """Start a program and yield what it says and what it is told; it is killed at the end.

    Args:
        at_end: told that it will say nothing more.

    Raises:
        OSError: it cannot be started.
    """
    process = await anyio.open_process(argv, stderr=None, cwd=cwd, env=dict(env))
    assert process.stdin is not None
    assert process.stdout is not None
    said_in, said = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    told, told_out = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_read, process.stdout, said_in, at_end)
            group.start_soon(_write, process.stdin, told_out)
            yield said, told
            group.cancel_scope.cancel()
    finally:
        for stream in (said_in, said, told, told_out):
            stream.close()
        if process.returncode is None:
            process.kill()


async def _read(
    output: ByteReceiveStream,
    said: MemoryObjectSendStream[SessionMessage | Exception],
    at_end: Callable[[], None],
) -> None:
    lines = Lines()
    async with said:
        try:
            async for data in output:
                for message in lines.feed(data):
                    await said.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return
        finally:
            at_end()


async def _write(given: ByteSendStream, told: MemoryObjectReceiveStream[SessionMessage]) -> None:
    async with given, told:
        try:
            async for message in told:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await given.send(text.encode() + b"\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


class Lines:
    """What a program prints, as messages."""

    def __init__(self, limit_bytes: int = MESSAGE_LIMIT_BYTES) -> None:
        self._decoder = LineDecoder(limit_bytes)
        self._limit_bytes = limit_bytes
        self._line_start = b""
        self._line_bytes = 0
        self._tail = b""

    def feed(self, data: bytes) -> list[SessionMessage]:
        """Return the messages that `data` completes."""
        messages: list[SessionMessage] = []
        for piece in data.splitlines(keepends=True):
            self._remember(piece)
            for line in self._decoder.feed(piece):
                message = None if line is None else _parsed(line)
                if message is not None:
                    messages.append(message)
            if piece.endswith(b"\n"):
                if self._line_bytes > self._limit_bytes:
                    refusal = self._refusal()
                    if refusal is not None:
                        messages.append(refusal)
                self._line_start, self._line_bytes, self._tail = b"", 0, b""
        return messages

    def _remember(self, piece: bytes) -> None:
        if len(self._line_start) < _ENDS_BYTES:
            self._line_start += piece[: _ENDS_BYTES - len(self._line_start)]
        self._line_bytes += len(piece)
        if self._line_bytes > self._limit_bytes:
            self._tail = (self._tail + piece[-_ENDS_BYTES:])[-_ENDS_BYTES:]

    def _refusal(self) -> SessionMessage | None:
        """Answer in the server's place the call that a message too long was the answer to."""
        found = _ID.search(self._line_start) or _ID.search(self._tail)
        if found is None:
            return None
        error = mcp_types.ErrorData(
            code=mcp_types.INTERNAL_ERROR,
            message=f"the answer has {self._line_bytes / (1 << 20):.0f} MiB; at most "
            f"{self._limit_bytes >> 20} MiB are taken",
        )
        return SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=error))


def _parsed(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except (ValueError, RecursionError):
        return None
