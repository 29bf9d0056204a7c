"""The server itself: which threads are loaded, and who is connected."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.abc
import msgspec

from octavo import __version__
from octavo.agent.allowed import Allowed
from octavo.config.paths import octavo_home
from octavo.protocol import methods as m
from octavo.protocol.notifications import Notification, ThreadClosed
from octavo.rpc import INVALID_REQUEST, Link, RpcError
from octavo.server.connection import Connection, Handler

if TYPE_CHECKING:
    from octavo.agent.thread import Agent
    from octavo.agent.yard import Yard
    from octavo.sandbox.keeper import Spare
    from octavo.server.cages import KeptCages
    from octavo.server.earlier import Held
    from octavo.server.followers import Followers
    from octavo.server.listings import Listings
    from octavo.store.index import Index


SPOKEN = "0.169.0"
"""The version of Codex whose app-server protocol this is. Clients read it from `userAgent`, where
they look for what they may use."""


class Launch(msgspec.Struct, frozen=True):
    """How the server was started: settings that hold for all of its threads."""

    env: Mapping[str, str]
    profile: str | None = None
    overrides: Sequence[str] = ()
    """The arguments of `-c`."""
    flags: Mapping[str, object] = {}
    add_dirs: Sequence[Path] = ()
    """Writable besides the workspace."""
    strict_config: bool = False
    ignore_user_config: bool = False
    alone: bool = False
    """No person will ever answer: nothing is asked, and the model is told so."""
    allowed: Allowed = Allowed()
    """What the person allowed on the command line."""
    spare: Spare | None = None
    """A process for the first cage that was started with the program."""
    source: str = "app-server"
    """Which face this server belongs to, for the log."""


class Server:
    """Threads by id, and the connections to them. Made by `serving`."""

    def __init__(self, launch: Launch, load: Load, group: anyio.abc.TaskGroup) -> None:
        self.launch = launch
        self.group = group
        self.threads: dict[str, Agent] = {}
        self.followers: dict[str, Followers] = {}
        self.held: dict[str, Held] = {}
        """Threads that clients opened and another process writes: here they can only be read."""
        self.index: Index | None = None
        """Made when something is first asked of it."""
        self.files: KeptCages | None = None
        """Made when a client first does something with files by itself."""
        self.listings: Listings | None = None
        """Made when files are first searched."""
        self._load = load
        self._handlers: Mapping[str, Handler] | None = None
        self._connections: set[Connection] = set()
        self._yard: Yard | None = None

    @property
    def yard(self) -> Yard:
        """Where the cages of all threads have their places."""
        if self._yard is None:
            from octavo.agent.yard import Yard

            self._yard = Yard()
        return self._yard

    async def close_yard(self) -> None:
        """End what opens cages, once none is needed any more."""
        if self._yard is not None:
            await self._yard.close()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What answers each method; loaded with all that it needs when it is first asked for."""
        if self._handlers is None:
            self._handlers = self._load()
        return self._handlers

    def introduction(self, client: str) -> m.InitializeResult:
        """What `initialize` answers."""
        system = os.uname()
        here = f"({system.sysname}; {system.machine})"
        agent = f"{client}/{SPOKEN} {here} octavo/{__version__}"
        home = str(octavo_home(self.launch.env))
        name = "macos" if system.sysname == "Darwin" else system.sysname.lower()
        return m.InitializeResult(agent, home, "unix", name)

    async def connect(
        self,
        link: Link,
        *,
        cut_off_bytes: int | None = None,
        finish_s: float = 0,
        at_end: Callable[[], Awaitable[None]] | None = None,
    ) -> str | None:
        """Serve one client until it goes; return why it was cut off, if it was.

        Args:
            cut_off_bytes: how much may be waiting for it to read; None: as much as there is.
            finish_s, at_end: see `Connection.run`.
        """
        connection = Connection(self, link, cut_off_bytes=cut_off_bytes)
        self._connections.add(connection)
        try:
            await connection.run(finish_s=finish_s, at_end=at_end)
        finally:
            self._connections.discard(connection)
            for going_on in connection.beside.values():
                going_on.cancel()
            for followers in self.followers.values():
                followers.remove(connection)
        return connection.dropped

    def tell_all(self, notification: Notification) -> None:
        """Tell every client, whatever it follows."""
        for connection in self._connections:
            connection.post(notification)

    def leave(self) -> None:
        """End all connections, as if the clients had."""
        for connection in list(self._connections):
            connection.leave()

    def agent(self, thread_id: str) -> Agent:
        """The loaded thread.

        Raises:
            RpcError: there is none.
            StoreError: another process writes it.
        """
        agent = self.threads.get(thread_id)
        if agent is None:
            held = self.held.get(thread_id)
            if held is not None:
                raise held.refusal()
            raise RpcError(INVALID_REQUEST, f"thread {thread_id} is not loaded")
        return agent

    def load(self, agent: Agent, followers: Followers) -> None:
        """Take a thread in and run it."""
        self.threads[agent.id] = agent
        self.held.pop(agent.id, None)
        self.followers[agent.id] = followers
        agent.journal.follow(followers.on_event)
        self.group.start_soon(self._run, agent)

    async def _run(self, agent: Agent) -> None:
        try:
            await agent.run()
        finally:
            del self.threads[agent.id]
            followers = self.followers.pop(agent.id)
            followers.tell(ThreadClosed(agent.id))
            agent.wiring.close()

    async def close(self) -> None:
        """Close every thread: turns end as interrupted, commands are killed, logs closed."""
        async with anyio.create_task_group() as closing:
            for agent in list(self.threads.values()):
                closing.start_soon(agent.close)


Load = Callable[[], Mapping[str, Handler]]
"""Imports the handlers. A client is answered that the server is there before that is done."""


def load_handlers() -> Mapping[str, Handler]:
    """Import all methods, and with them all that a thread needs."""
    from octavo.server.methods import TABLE

    return TABLE


@asynccontextmanager
async def serving(launch: Launch, load: Load = load_handlers) -> AsyncIterator[Server]:
    """A server, while the context lasts; leaving it closes every thread."""
    async with anyio.create_task_group() as group:
        server = Server(launch, load, group)
        try:
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server.close()
                await server.close_yard()
            group.cancel_scope.cancel()
