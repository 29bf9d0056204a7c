"""The MCP servers of one thread, bound to it: its cages, its person, its journal.

Loaded only for threads that have servers. What a server gives the model stands beside the other
tools: the toolbox here takes the calls of servers' tools and passes on all others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from octavo.agent.allowed import Allowed
from octavo.agent.cages import Cages
from octavo.agent.journal import Journal
from octavo.agent.labels import needs_person
from octavo.agent.step import MakeRoom
from octavo.agent.step import Toolbox as AnyToolbox
from octavo.config.keys import dotted
from octavo.config.load import Loaded
from octavo.mcp.calls import Calls, repinned
from octavo.mcp.oauth.renewal import Renewal
from octavo.mcp.offer import Offer
from octavo.mcp.pins import Pins
from octavo.mcp.remote import Remote
from octavo.mcp.servers import Outside, Server, Servers, State
from octavo.mcp.spec import Spec, make_spec
from octavo.mcp.words import ElicitParams, ElicitResult
from octavo.model import Call
from octavo.protocol.errors import ConfigError
from octavo.protocol.events import ServerTold
from octavo.protocol.questions import ElicitationQuestion
from octavo.sandbox import Policy
from octavo.sandbox.net import Blocked
from octavo.tools import Hands, Outcome
from octavo.tools.declare import declarations
from octavo.tools.toolbox import Toolbox

ELICITATIONS = 5
"""How often a server may ask the person during one call."""
MESSAGE_LIMIT = 2_000
SCHEMA_LIMIT = 32 << 10


class ThreadServers:
    """The servers of a thread.

    Attributes:
        servers: all of them, whether they run or not.
    """

    def __init__(
        self,
        servers: Servers,
        journal: Journal,
        allowed: Allowed,
        pins: Pins,
        notice: Callable[[str], None],
        specs: Callable[[Policy], list[Spec]],
        policy: Policy,
    ) -> None:
        self.servers = servers
        self._specs = specs
        self._policy = policy
        self._journal = journal
        self._pins = pins
        self._notice = notice
        self._offer: Offer | None = None
        self._eliciting = anyio.Lock()
        self._elicited: dict[str, int] = {}
        self._declared = b""
        self._group: anyio.abc.TaskGroup | None = None
        self.calls = Calls(
            servers,
            allowed=allowed.mcp,
            leaving=lambda: needs_person(journal.thread.labels),
            repin=self._repin,
        )

    async def under(self, policy: Policy) -> None:
        """Have the servers run under `policy`; where it is another one, they begin anew."""
        if policy != self._policy:
            self._policy = policy
            await self.servers.become(self._specs(policy))

    def begin(self) -> None:
        """Start the servers whose tools are known; the first request is under way."""
        self.servers.begin()

    def waiting(self, make_room: MakeRoom) -> MakeRoom:
        """Return what is done before a step, with a wait for servers that are not known yet."""

        async def settled(why: Literal["auto", "asked", "refused"]) -> bool:
            await self.servers.settle_logins()
            if self._offer is None:
                await self.servers.settle()
                self._offer = Offer(self.servers, self.calls)
                self._declared = declarations(self._offer.tools)
            return await make_room(why)

        return settled

    def declared(self, tools: bytes) -> bytes:
        """Return an encoded list of declarations with those of the servers' tools at its end."""
        if len(self._declared) <= 2:
            return tools
        return tools[:-1] + b"," * (len(tools) > 2) + self._declared[1:]

    def toolbox(self, others: AnyToolbox, redact: Callable[[str], str]) -> AnyToolbox:
        """Return a toolbox that takes the calls of servers' tools, and passes on the others."""
        return ServerToolbox(others, lambda: self._offer, redact)

    def _repin(self, server: Server, remote: Remote) -> None:
        repinned(server, remote)
        if server.pin is None or self._group is None:
            return
        pin = server.pin

        async def keep() -> None:
            try:
                await anyio.to_thread.run_sync(self._pins.keep, server.name, pin)
            except ConfigError as error:
                self._notice(str(error))

        self._group.start_soon(keep)

    async def elicit(self, server: str, asked: ElicitParams) -> ElicitResult:
        """Ask the person on a server's behalf: while a call waits for it, one thing at a time."""
        hands = self.calls.hands_of(server)
        schema = None if asked.schema is None else msgspec.json.encode(asked.schema).decode()
        if hands is None or len(schema or "") > SCHEMA_LIMIT or not _is_page(asked.url):
            return ElicitResult("decline")
        self._elicited[hands.call_id] = self._elicited.get(hands.call_id, 0) + 1
        if self._elicited[hands.call_id] > ELICITATIONS:
            return ElicitResult("decline")
        message = asked.message[:MESSAGE_LIMIT]
        question = ElicitationQuestion(server, message, schema, asked.url)
        async with self._eliciting:
            answer = await hands.ask(question)
        if not answer.yes:
            return ElicitResult("decline")
        content = None if answer.content is None else msgspec.json.decode(answer.content)
        return ElicitResult("accept", content if isinstance(content, dict) else None)

    async def hold(self, group: anyio.abc.TaskGroup) -> None:
        """Keep the servers in `group` from now on."""
        self._group = group
        await group.start(lambda *, task_status: self.servers.run(task_status=task_status))
        self.servers.begin(only_unknown=True)


class ServerToolbox:
    """Runs calls of servers' tools. Implements `step.Toolbox`."""

    def __init__(
        self, others: AnyToolbox, offer: Callable[[], Offer | None], redact: Callable[[str], str]
    ) -> None:
        self._others = others
        self._offer = offer
        self._redact = redact

    def may_run_beside(self, call: Call) -> bool:
        return self._others.may_run_beside(call)

    async def run(self, call: Call, hands: Hands) -> Outcome:
        offer = self._offer()
        tool = None if offer is None else offer.find(call.name)
        if tool is None:
            return await self._others.run(call, hands)
        return await Toolbox([tool], redact=self._redact).run(call, hands)


@asynccontextmanager
async def thread_servers(
    loaded: Loaded,
    policy: Policy,
    environ: Mapping[str, str],
    journal: Journal,
    allowed: Allowed,
    notice: Callable[[str], None],
    *,
    elicits: bool,
) -> AsyncIterator[ThreadServers]:
    """The servers that the settings of a thread name; all of them are gone at the end."""
    pins = Pins(loaded.home)
    specs = partial(enabled_specs, loaded, environ=environ, notice=notice)
    holder: list[ThreadServers] = []

    def told(name: str, state: State, error: str | None) -> None:
        if state != "notStarted":
            journal.emit_last(ServerTold(name, state, error))

    def on_blocked(blocked: Blocked) -> None:
        del blocked  # the server is told, and nobody is asked on a server's word

    async def elicit(server: str, asked: ElicitParams) -> ElicitResult:
        return await holder[0].elicit(server, asked)

    async with Cages(None, on_blocked) as cages:
        token = Renewal(loaded.home, cages.open).token
        outside = Outside(cages.open, told, notice, elicit, elicits, token)
        servers = Servers(specs(policy), pins, outside)
        mine = ThreadServers(servers, journal, allowed, pins, notice, specs, policy)
        holder.append(mine)
        async with anyio.create_task_group() as group:
            await mine.hold(group)
            try:
                yield mine
            finally:
                group.cancel_scope.cancel()


@asynccontextmanager
async def lone_servers(specs: Sequence[Spec], home: Path) -> AsyncIterator[Servers]:
    """Servers of no thread, for whoever wants to know what they have; nobody is asked anything."""

    async def declined(server: str, asked: ElicitParams) -> ElicitResult:
        del server, asked
        return ElicitResult("decline")

    async with Cages(None, lambda _: None) as cages:
        token = Renewal(home, cages.open).token
        outside = Outside(cages.open, lambda *_: None, lambda _: None, declined, False, token)
        servers = Servers(specs, Pins(home), outside)
        async with anyio.create_task_group() as group:
            await group.start(lambda *, task_status: servers.run(task_status=task_status))
            yield servers
            group.cancel_scope.cancel()


def _is_page(url: str | None) -> bool:
    """Whether a person may be sent there: a page, and nothing that starts a program."""
    return url is None or url.startswith(("https://", "http://localhost:", "http://127.0.0.1:"))


def enabled_specs(
    loaded: Loaded, policy: Policy, *, environ: Mapping[str, str], notice: Callable[[str], None]
) -> list[Spec]:
    """Return the enabled servers; one whose settings make no sense is said and left out."""
    found: list[Spec] = []
    for name, config in loaded.settings.mcp_servers.items():
        if not config.enabled:
            continue
        inside = f"{dotted(('mcp_servers', name))}."
        layers = {s.layer for key, s in loaded.sources.items() if key.startswith(inside)}
        if "project" in layers and layers & {"system", "user", "profile"}:
            notice(
                f"MCP server {name} is left out: this project and your own settings both describe"
                " it, and one half of each is neither. Give one of them another name."
            )
            continue
        try:
            spec = make_spec(
                name,
                config,
                policy=policy,
                octavo_home=loaded.home,
                environ=environ,
                is_own="project" not in layers,
            )
            found.append(spec)
        except ConfigError as error:
            notice(str(error))
    return found
