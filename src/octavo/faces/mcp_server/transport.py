"""The client's messages over octavo's own link, as streams of the official package.

The package's own standard input waits for a line in a thread, and would keep the program from
ending until there is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage

from mcp import types
from octavo.rpc import FrameTooLong, Link, LinkClosed

Incoming = MemoryObjectReceiveStream[SessionMessage | Exception]
Outgoing = MemoryObjectSendStream[SessionMessage]


FINISH_S = 2.0
"""How long what was asked may still be answered when the client has ended its output."""


@asynccontextmanager
async def streams_over(link: Link) -> AsyncIterator[tuple[Incoming, Outgoing]]:
    """What a client says, and what it is told; what it says ends when the link does."""
    said_in, said = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    told, told_out = anyio.create_memory_object_stream[SessionMessage](0)
    owed = Owed()
    async with anyio.create_task_group() as group, said:
        group.start_soon(_read, link, said_in, owed)
        group.start_soon(_write, link, told_out, owed)
        async with told:
            yield said, told
        group.cancel_scope.deadline = anyio.current_time() + FINISH_S


class Owed:
    """The requests that have no answer yet."""

    def __init__(self) -> None:
        self._ids: set[types.RequestId] = set()
        self._none = anyio.Event()

    def asked(self, message: types.JSONRPCMessage) -> None:
        """Take note of what a client says."""
        if isinstance(message, types.JSONRPCRequest):
            self._ids.add(message.id)

    def told(self, message: types.JSONRPCMessage) -> None:
        """Take note of what it is told."""
        if isinstance(message, types.JSONRPCResponse | types.JSONRPCError):
            self._ids -= {message.id}
            if not self._ids:
                self._none.set()

    async def nothing(self) -> None:
        """Wait until everything is answered, for a while."""
        with anyio.move_on_after(FINISH_S):
            while self._ids:
                self._none = anyio.Event()
                await self._none.wait()


async def _read(
    link: Link, said: MemoryObjectSendStream[SessionMessage | Exception], owed: Owed
) -> None:
    async with said:
        while True:
            try:
                line = await link.receive()
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except LinkClosed:
                await owed.nothing()
                return
            except (FrameTooLong, ValueError) as error:  # the package answers, or passes it over
                await said.send(error)
                continue
            owed.asked(message)
            await said.send(SessionMessage(message))


async def _write(link: Link, told: MemoryObjectReceiveStream[SessionMessage], owed: Owed) -> None:
    async with told:
        async for message in told:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                await link.send(text.encode())
            except LinkClosed:
                return
            owed.told(message.message)
