"""The server itself: which threads are loaded, and who is connected."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import msgspec

from octavo import __version__
from octavo.agent.ground import Allowed
from octavo.agent.thread import Agent
from octavo.config.paths import octavo_home
from octavo.protocol import methods as m
from octavo.protocol.notifications import Notification, ThreadClosed
from octavo.rpc import INVALID_REQUEST, Link, RpcError
from octavo.sandbox.keeper import Spare
from octavo.server.connection import Connection, Handler
from octavo.server.followers import Followers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.store.index import Index


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

    def __init__(
        self, launch: Launch, handlers: Mapping[str, Handler], group: anyio.abc.TaskGroup
    ) -> None:
        self.launch = launch
        self.group = group
        self.threads: dict[str, Agent] = {}
        self.followers: dict[str, Followers] = {}
        self.index: Index | None = None
        """Made when something is first asked of it."""
        self._handlers = dict(handlers)
        self._connections: list[Connection] = []

    def introduction(self, client: str) -> m.InitializeResult:
        """What `initialize` answers."""
        system = os.uname()
        agent = f"{client} ({system.sysname}; {system.machine}) octavo/{__version__}"
        home = str(octavo_home(self.launch.env))
        name = "macos" if system.sysname == "Darwin" else system.sysname.lower()
        return m.InitializeResult(agent, home, "unix", name)

    async def connect(self, link: Link) -> None:
        """Serve one client until it goes."""
        connection = Connection(self, link, self._handlers)
        self._connections.append(connection)
        try:
            await connection.run()
        finally:
            self._connections.remove(connection)
            for followers in self.followers.values():
                followers.remove(connection)

    def tell(self, notification: Notification) -> None:
        """Tell every client."""
        for connection in self._connections:
            connection.post(notification)

    def agent(self, thread_id: str) -> Agent:
        """The loaded thread. Raises RpcError when there is none."""
        agent = self.threads.get(thread_id)
        if agent is None:
            raise RpcError(INVALID_REQUEST, f"thread {thread_id} is not loaded")
        return agent

    def load(self, agent: Agent, followers: Followers) -> None:
        """Take a thread in and run it."""
        self.threads[agent.id] = agent
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


@asynccontextmanager
async def serving(launch: Launch) -> AsyncIterator[Server]:
    """A server, while the context lasts; leaving it closes every thread."""
    from octavo.server.methods import TABLE  # the handlers need this module

    async with anyio.create_task_group() as group:
        server = Server(launch, TABLE, group)
        try:
            yield server
        finally:
            with anyio.CancelScope(shield=True):
                await server.close()
            group.cancel_scope.cancel()
