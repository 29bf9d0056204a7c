"""The Python SDK: threads and turns of an octavo server, wherever it runs.

    from octavo.client.octavo import started

    async with started() as octavo:
        thread = await octavo.start_thread(cwd="/repo")
        print((await thread.run("Fix the failing test.")).text)

`octavo` is what a program uses: threads, turns, their events, and questions answered. What is here
is what that is made of, for a face that wants each method and notification as it is: a `Client`
that sees every notification in the order they happened, and hands questions of the server to
`answer`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec

from octavo.protocol import methods
from octavo.protocol.inputs import UserInput
from octavo.protocol.items import Turn
from octavo.protocol.methods import Method, P, R
from octavo.protocol.notifications import BY_METHOD, Notification
from octavo.rpc import Link, LinkClosed
from octavo.rpc.peer import Peer

AnswerQuestion = Callable[[str, bytes], Awaitable[Any]]
"""Answers a server request: its method and encoded parameters in, the result out."""

Deliver = Callable[[Notification], None]
"""Takes a notification at once, in order, in the place of `Client.notifications`."""


class Client:
    """A connection that has been introduced. Made by `connect`."""

    def __init__(
        self,
        link: Link,
        answer: AnswerQuestion,
        deliver: Deliver | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._peer = Peer(link, answer, self._take)
        self._send, self._receive = anyio.create_memory_object_stream[Notification](math.inf)
        self._deliver = deliver or self._send.send_nowait
        self._at_end = at_end

    async def _take(self, method: str, params: bytes) -> None:
        kind = BY_METHOD.get(method)
        if kind is not None:
            self._deliver(msgspec.json.decode(params, type=kind))

    async def run(self) -> None:
        """Serve the connection until it closes; then `notifications` ends."""
        try:
            await self._peer.run()
        finally:
            self._send.close()
            if self._at_end is not None:
                self._at_end()

    async def call(self, method: Method[P, R], params: P) -> R:
        """Call any method of the protocol.

        Raises:
            RpcError: the server refused.
            LinkClosed: the server is gone.
        """
        return await self._peer.request(method.name, params, method.result)

    async def initialize(self, name: str, version: str) -> methods.InitializeResult:
        """Introduce this client. First, and once."""
        info = methods.ClientInfo(name, version)
        result = await self.call(methods.INITIALIZE, methods.InitializeParams(info))
        await self._peer.notify(methods.INITIALIZED, methods.Nothing())
        return result

    async def notifications(self) -> AsyncGenerator[Notification, None]:
        """What the server tells, in order, until the connection closes."""
        async for notification in self._receive:
            yield notification
            for more in self.waiting():  # without a round of the event loop for each
                yield more

    def waiting(self) -> Iterator[Notification]:
        """What has come and was not yet read, without waiting for more."""
        while True:
            try:
                yield self._receive.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream):
                return

    async def start_thread(self, params: methods.ThreadStartParams) -> methods.ThreadResult:
        """Begin a thread."""
        return await self.call(methods.THREAD_START, params)

    async def resume_thread(self, params: methods.ThreadResumeParams) -> methods.ThreadResult:
        """Open a thread that exists."""
        return await self.call(methods.THREAD_RESUME, params)

    async def start_turn(self, params: methods.TurnStartParams) -> Turn:
        """Give the thread something to do; returns when it has begun."""
        return (await self.call(methods.TURN_START, params)).turn

    async def steer(self, thread_id: str, turn_id: str, inputs: Sequence[UserInput]) -> None:
        """Say something into a running turn."""
        params = methods.TurnSteerParams(thread_id, tuple(inputs), turn_id)
        await self.call(methods.TURN_STEER, params)

    async def interrupt(self, thread_id: str, turn_id: str) -> None:
        """End a running turn; its `turn/completed` follows."""
        await self.call(methods.TURN_INTERRUPT, methods.TurnInterruptParams(thread_id, turn_id))

    async def clean_terminals(self, thread_id: str) -> None:
        """Kill the commands that outlived their calls, and wait until they are gone."""
        await self.call(methods.CLEAN_TERMINALS, methods.ThreadIdParams(thread_id))


@asynccontextmanager
async def connect(
    link: Link,
    *,
    name: str,
    version: str,
    answer: AnswerQuestion,
    deliver: Deliver | None = None,
    at_end: Callable[[], None] | None = None,
) -> AsyncIterator[Client]:
    """Introduce a client over `link` and serve it while the context lasts.

    Args:
        deliver: takes what the server tells; by default it waits in `Client.notifications`.
        at_end: called when nothing more comes.

    Raises:
        RpcError: the server refused the introduction.
    """
    client = Client(link, answer, deliver, at_end)
    async with anyio.create_task_group() as group:
        group.start_soon(client.run)
        try:
            await client.initialize(name, version)
            yield client
        finally:
            link.close()
            group.cancel_scope.cancel()


__all__ = ["AnswerQuestion", "Client", "Deliver", "LinkClosed", "connect"]
