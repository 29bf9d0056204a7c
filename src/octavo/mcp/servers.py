"""The servers of one thread: started beside each other, waited for where they are needed.

One that fails is one that failed: it is told, its calls fail with a sentence, and it is started
again when it is next needed, a few times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Literal

import anyio
import anyio.abc
import anyio.to_thread
import msgspec
from msgspec.structs import replace

from octavo.config.paths import make_private
from octavo.mcp.connection import Connection, Ears, ServerFailed, connected, needs_login
from octavo.mcp.log import ServerLog, log_file
from octavo.mcp.mending import how_to_mend
from octavo.mcp.pins import Drift, Pin, Pins, agreed_to, drift
from octavo.mcp.remote import Remote, remotes
from octavo.mcp.spec import Spec
from octavo.mcp.words import ElicitParams, ElicitResult, Http, Listed
from octavo.protocol.errors import ConfigError, OctavoError
from octavo.protocol.extras import missing
from octavo.protocol.visible import visible
from octavo.sandbox import Policy, Sandbox

LATER_S = 0.1
"""How much later than the first request servers are started that need not be waited for: to start
takes a processor for most of a second, and there may be no other."""
STARTS = 3
"""How often one server is started in a thread, the first time included."""
NOTICES = 5
"""How often the person is told of one server in a thread, what its failures say apart."""
RELIST_EVERY_S = 1.0
"""How often a server that says it changed is looked at."""
_INSTRUCTIONS_CHARACTERS = 4_000

State = Literal["notStarted", "starting", "ready", "failed", "cancelled"]


class Outside(msgspec.Struct, frozen=True):
    """What the servers of a thread need of it.

    Attributes:
        open_cage: opens the cage of a policy; does not wait for it.
        told: hears of every change of a server's state, with the reason of a failure.
        notice: tells the person.
        elicit: asks the person on a server's behalf.
        elicits: a person may be asked at all.
        token: returns that of a login at a server, another one than the one it refused; None: one
            has to log in. Raises OctavoError.
    """

    open_cage: Callable[[Policy], Awaitable[Sandbox]]
    told: Callable[[str, State, str | None], None]
    notice: Callable[[str], None]
    elicit: Callable[[str, ElicitParams], Awaitable[ElicitResult]]
    elicits: bool
    token: Callable[[Spec, str | None], Awaitable[str | None]]


class Server:
    """One server, whether it runs or not.

    Attributes:
        pin: what was known of it before, if that is this very server.
        tools: what it has, as far as is known: from its pin, then from itself.
        agreed: the tools that a person agreed to, as they were then, by their real names.
        drifted: how it differs from what was agreed to; known once it has started.
        log: what it says of its doings.
    """

    def __init__(self, spec: Spec, pin: Pin | None) -> None:
        self.spec = spec
        self.pin = pin
        self.state: State = "notStarted"
        self.error: str | None = None
        self.tools: list[Remote] = [] if pin is None else remotes(spec.name, pin.tools)
        self.agreed = dict(agreed_to(spec.name, pin))
        self.drifted = Drift()
        self.log = ServerLog(log_file(spec.home))
        self.connection: Connection | None = None
        self.token: str | None = None
        """Of a login: what it was reached with last."""
        self.needs_login = False
        """It refused that, or wants one."""
        self.starts = 0
        self.scope: anyio.CancelScope | None = None
        self.missed = False
        """A turn was not begun without it; the next one tries again."""
        self.notices = 0
        self.tried = anyio.Event()
        """Set when it was tried to start it, whatever came of that."""
        self.has_resources = pin is not None and pin.resources
        self.instructions = None if pin is None else pin.instructions
        self.lock = anyio.Lock()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def offered(self) -> list[Remote]:
        """The tools of it that the person wants."""
        return [tool for tool in self.tools if self.spec.offers(tool.tool)]


class Servers:
    """The configured servers of a thread. Open it around the thread's turns."""

    def __init__(self, specs: Sequence[Spec], pins: Pins, outside: Outside) -> None:
        self._pins = pins
        self._outside = outside
        self._group: anyio.abc.TaskGroup | None = None
        self._relisting: dict[str, anyio.Event] = {}
        self._changed_again: set[str] = set()
        try:
            known = pins.read()
        except ConfigError as error:
            known = {}
            outside.notice(str(error))
        self.by_name: dict[str, Server] = {}
        for spec in specs:
            pin = known.get(spec.name)
            fits = pin is not None and pin.digest == spec.digest
            self.by_name[spec.name] = Server(spec, pin if fits else None)

    async def become(self, specs: Sequence[Spec]) -> None:
        """Run under other specs from now on: what runs under another one is ended."""
        for spec in specs:
            server = self.by_name.get(spec.name)
            if server is None or server.spec == spec:
                continue
            async with server.lock:
                server.spec = spec
                server.starts = 0
                if server.scope is not None:
                    server.scope.cancel()
                if server.connection is not None:
                    await server.connection.gone.wait()
                    server.connection = None
                server.state = "notStarted"
                server.tried = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold the servers until cancelled; all of them are gone then."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                task_status.started()
                try:
                    await anyio.sleep_forever()
                finally:
                    self._group = None
        finally:
            for server in self.by_name.values():
                server.log.end()

    def begin(self, *, only_unknown: bool = False) -> None:
        """Start what was not started yet, without waiting.

        Args:
            only_unknown: only servers that are not pinned, as those have to be waited for; the
                others are started a little later.
        """
        for server in self.by_name.values():
            if server.state == "notStarted" and not (only_unknown and server.pin is not None):
                self._start(server, 0 if only_unknown else LATER_S)

    async def settle_logins(self) -> None:
        """Wait for the servers that wanted a login, where a person has logged in since."""
        begun: list[Server] = []
        for server in self.by_name.values():
            locked = server.needs_login and server.token is None and server.state == "failed"
            if locked and await self._logged_in_since(server):
                server.tried = anyio.Event()
                self._start(server, 0)
                begun.append(server)
        for server in begun:
            await server.tried.wait()

    async def settle(self) -> None:
        """Wait for the servers that are not known yet, each as long as it may take to start.

        Raises:
            ServerFailed: one that is required is not there.
        """
        for server in self.by_name.values():
            required = server.spec.config.required
            if server.pin is not None and not required:
                continue
            if server.state == "notStarted" or (required and server.missed):
                server.tried = anyio.Event()
                self._start(server, 0)
            await server.tried.wait()
            server.missed = server.state != "ready"
            if required and server.state != "ready":
                why = server.error or f"MCP server {server.name} is not there."
                raise ServerFailed(f"{why} It is required, so the turn was not begun.")

    async def relisted(self) -> None:
        """Wait for the servers that are saying which tools they have now."""
        for done in list(self._relisting.values()):
            await done.wait()

    async def connection(self, server: Server) -> Connection:
        """Return the connection to a server that is there, starting it where it is not.

        Raises:
            ServerFailed: it cannot be started.
        """
        async with server.lock:
            there = server.connection
            if there is not None and not there.gone.is_set():
                return there
            if self._group is None:
                raise ServerFailed(f"MCP server {server.name} ended with the thread.")
            if server.needs_login and not await self._logged_in_since(server):
                raise ServerFailed(server.error or needs_login(server.name), needs_login=True)
            if server.starts >= STARTS:
                raise ServerFailed(
                    f"MCP server {server.name} failed {server.starts} times and is not started"
                    f" again in this thread. {server.error or ''}".strip()
                )
            server.starts += 1
            self._set(server, "starting")
            try:
                connection: Connection = await self._group.start(self._hold, server)
                return connection
            except OctavoError as error:
                text = f"{error}{how_to_mend(server.spec)}"
                if not isinstance(error, ServerFailed):
                    text = f"MCP server {server.name}: {error}"
                server.needs_login = isinstance(error, ServerFailed) and error.needs_login
                if server.needs_login and server.token is None:
                    server.starts -= 1  # it is tried again only after a login
                self._set(server, "failed", text)
                raise ServerFailed(text, needs_login=server.needs_login) from None
            except BaseException:
                self._set(server, "cancelled")
                raise
            finally:
                server.tried.set()

    async def _logged_in_since(self, server: Server) -> bool:
        """Whether there is another token than the one that a server did not take."""
        try:
            token = await self._outside.token(server.spec, server.token)
        except OctavoError:
            return False
        return token not in (None, server.token)

    def _start(self, server: Server, after_s: float) -> None:
        async def quietly() -> None:
            await anyio.sleep(after_s)  # whoever needs it before that starts it
            try:
                await self.connection(server)
            except OctavoError as error:
                self._outside.notice(f"{error} Its tools cannot be used.")

        if self._group is not None:
            server.state = "starting"
            self._group.start_soon(quietly)

    async def _hold(self, server: Server, *, task_status: anyio.abc.TaskStatus[Connection]) -> None:
        """Run a server until it ends; what goes wrong before it is ready is raised."""
        spec = server.spec
        if find_spec("mcp") is None:
            raise ServerFailed(str(missing(f"MCP server {spec.name}", "mcp", "mcp")))
        try:
            make_private(spec.home)
            server.log.begin()
        except OSError as error:
            raise ServerFailed(f"MCP server {spec.name}: {spec.home}: {error.strerror}.") from None
        to = spec.to
        if isinstance(to, Http):
            server.token = await self._outside.token(spec, None)
            if server.token is not None:
                to = replace(to, token=server.token)
                server.spec = spec = replace(spec, has_secret=True)
        sandbox = await self._outside.open_cage(spec.policy)
        failure: ServerFailed | None = None
        opened = connected(
            spec.name,
            to,
            sandbox,
            self._ears(server),
            cwd=spec.policy.cwd,
            env=spec.env,
            timeout_s=spec.startup_timeout_s,
            elicits=self._outside.elicits,
        )
        with anyio.CancelScope() as server.scope:
            async with opened as connection:
                failure = await self._serve(server, connection, task_status)
        server.scope = None
        if failure is not None:
            raise failure
        server.connection = None

    async def _serve(
        self,
        server: Server,
        connection: Connection,
        task_status: anyio.abc.TaskStatus[Connection],
    ) -> ServerFailed | None:
        """Be there until the server is gone; return why it could not be used at all."""
        try:
            await self._take(server, connection, first=True)
        except ServerFailed as error:  # raised in here, it would come in a group
            return error
        server.connection = connection
        server.needs_login = False
        self._set(server, "ready")
        task_status.started(connection)
        await connection.gone.wait()
        ended = f"MCP server {server.name} ended.{connection.last_words}"
        self._set(server, "failed", ended)
        return None

    def _ears(self, server: Server) -> Ears:
        def log(level: str, text: str) -> None:
            server.log.add(level, text, self._group)

        async def token(refused: str) -> str | None:
            try:
                server.token = await self._outside.token(server.spec, refused)
            except OctavoError as error:
                self._notice(server, str(error))
                return None
            server.needs_login = server.token is None
            return server.token

        return Ears(
            elicit=partial(self._outside.elicit, server.name),
            changed=partial(self._changed, server),
            log=log,
            token=token,
        )

    def _changed(self, server: Server, what: str) -> None:
        """The server says it has other tools now: look once, however often it says so."""
        there = server.connection
        if what != "tools" or there is None or self._group is None:
            return
        self._changed_again.add(server.name)
        if server.name not in self._relisting:
            self._relisting[server.name] = anyio.Event()
            self._group.start_soon(self._relist, server, there)

    async def _relist(self, server: Server, connection: Connection) -> None:
        try:
            while server.name in self._changed_again:
                self._changed_again.discard(server.name)
                try:
                    await self._take(server, connection)
                except ServerFailed as error:
                    self._notice(server, str(error))
                self._relisting[server.name].set()  # whoever waits has waited for this one
                await anyio.sleep(RELIST_EVERY_S)
                self._relisting[server.name] = anyio.Event()
        finally:
            self._relisting.pop(server.name).set()

    def _notice(self, server: Server, text: str) -> None:
        server.notices += 1
        if server.notices <= NOTICES:
            self._outside.notice(text)

    async def _take(self, server: Server, connection: Connection, *, first: bool = False) -> None:
        """Learn what a server has, and compare it with its pin.

        Args:
            first: it has just started; what nobody agreed to yet is remembered for the next start.
        """
        said = connection.said
        listed = Listed()
        if "tools" in said.capabilities:
            listed = await connection.list("tools", server.spec.startup_timeout_s)
        if listed.left_out is not None:
            self._notice(server, f"MCP server {server.name}: {listed.left_out}.")
        server.tools = remotes(server.name, listed.found)
        server.has_resources = "resources" in said.capabilities
        pin = server.pin
        if pin is not None and pin.agreed:
            drifted = drift(server.name, pin, server.tools)
            if drifted and drifted != server.drifted:
                self._notice(
                    server,
                    f"MCP server {server.name} does not say of its tools what you agreed to"
                    f" ({drifted.told()}). What differs is asked about at each call. To look at it"
                    f" and agree: octavo mcp accept {server.name}",
                )
            server.drifted = drifted
            return
        server.instructions = instructions_of(connection)
        if not first:
            return
        server.pin = pin_of(server, server.instructions)
        try:
            await anyio.to_thread.run_sync(self._pins.keep, server.name, server.pin)
        except ConfigError as error:
            self._outside.notice(str(error))

    def _set(self, server: Server, state: State, error: str | None = None) -> None:
        server.state = state
        server.error = error
        self._outside.told(server.name, state, error)


def instructions_of(connection: Connection) -> str | None:
    """Return what a server says of itself, with nothing invisible in it."""
    return visible(connection.said.instructions or "")[:_INSTRUCTIONS_CHARACTERS] or None


def pin_of(server: Server, instructions: str | None, *, agreed: bool = False) -> Pin:
    """Return what a server is now, as a pin."""
    return Pin(
        server.spec.digest,
        tuple(dict(tool.said) for tool in server.tools),
        server.has_resources,
        instructions,
        agreed,
    )
