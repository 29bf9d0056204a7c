"""Which of the servers' tools a model is told of, and how it gets at the others.

What is declared is decided once a thread, before its first request: declarations begin every
prompt, and the provider's cache lives from their not changing. Few tools are declared as they are.
Many are not declared at all: `tool_search` finds them, and `call_tool` calls them; so it is with
whatever comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from octavo.mcp.calls import Calls
from octavo.mcp.connection import ServerFailed
from octavo.mcp.remote import Remote, told_apart
from octavo.mcp.results import bounded, contents
from octavo.mcp.search import Index
from octavo.mcp.servers import Server, Servers
from octavo.protocol.events import ToolIntent
from octavo.protocol.show import CALL_TOOL
from octavo.protocol.visible import visible, visible_line
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.declare import declarations
from octavo.tools.schema import number, obj, text
from octavo.tools.truncate import TOKEN_BYTES, count_tokens

INLINE_TOKENS = 8_000
"""How much the declarations of all servers' tools may cost a prompt together."""
LISTING_TOKENS = 1_000
"""How much is told of what can be searched."""
FOUND = 5
MOST_FOUND = 20
INSTRUCTIONS_CHARACTERS = 500
"""Of what each server says of itself."""
RESOURCES_SHOWN = 200


class ToolSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's."""

    query: str
    limit: float | None = None


class CallTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool by the name that `tool_search` gives, and what it takes."""

    name: str
    arguments: dict[str, Any] = {}


class ListResources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's."""

    server: str | None = None
    cursor: str | None = None


class ReadResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's."""

    server: str
    uri: str


class Offer:
    """What the servers of a thread give its model.

    Attributes:
        tools: what is declared, in order.
    """

    def __init__(self, servers: Servers, calls: Calls) -> None:
        self._servers = servers
        self._calls = calls
        self._owners: dict[str, tuple[str, str]] = {}
        """Whose tool a name is, once it was given."""
        self._index: tuple[tuple[str, ...], Index] | None = None
        known = self._declarable()
        direct = [calls.tool(remote) for remote in known]
        cost = count_tokens(len(declarations(direct)))
        self.deferred = cost > INLINE_TOKENS
        self._declared = {} if self.deferred else {tool.name: tool for tool in direct}
        self.tools: list[Tool] = list(self._declared.values())
        if any(server.has_resources for server in servers.by_name.values()):
            self.tools += [self._list_tool(False), self._list_tool(True), self._read_tool()]
        self.tools += [self._search_tool(known), self._call_tool()]

    def find(self, name: str) -> Tool | None:
        """Return a tool by its name, also one that was not declared."""
        own = next((tool for tool in self.tools if tool.name == name), None)
        if own is not None:
            return own
        remote = next((remote for remote in self._remotes() if remote.name == name), None)
        return None if remote is None else self._calls.tool(remote)

    def _remotes(self) -> list[Remote]:
        """All tools that there are now, each under a name of its own."""
        servers = self._servers.by_name.values()
        return [self._named(remote) for server in servers for remote in server.offered]

    def _named(self, remote: Remote) -> Remote:
        """Return a tool under its name, which it keeps: no other tool is ever called by it."""
        mine = (remote.server, remote.tool)
        name = remote.name
        while self._owners.setdefault(name, mine) != mine:
            name = told_apart(name, "\0".join((name, *mine)))
        return remote if name == remote.name else replace(remote, name=name)

    def _declarable(self) -> list[Remote]:
        """What is told of before anything was asked: what was agreed to as it was agreed to."""
        found: list[Remote] = []
        for server in self._servers.by_name.values():
            for remote in server.offered:
                said = server.agreed.get(remote.tool) if server.agreed else remote
                if said is not None:
                    found.append(self._named(said))
        return found

    def _instructions(self) -> str:
        told = [
            f"\n{visible_line(server.name)}: {_on_one_line(server.instructions)}"
            for server in self._servers.by_name.values()
            if server.instructions
        ]
        if not told:
            return ""
        said = "".join(told)[: LISTING_TOKENS * TOKEN_BYTES // 2]
        return f"\nWhat the servers say of themselves, in their words:{said}"

    # ---- tool_search and call_tool ----

    def _search_tool(self, known: Sequence[Remote]) -> Tool:
        async def search(args: ToolSearch, hands: Hands) -> Outcome:
            del hands
            await self._servers.relisted()
            return Outcome(self._search(args))

        return Tool(
            name="tool_search",
            description=(
                "Find tools of the user's MCP servers that are not declared here. Returns the best"
                f" matches with their parameters; call one with {CALL_TOOL}."
                + self._listing(known)
                + self._instructions()
            ),
            params=ToolSearch,
            run=search,
            effect=Effect.READ,
            schema=obj(
                {
                    "query": text("Words that the tool's name or description should have."),
                    "limit": number(f"How many to return, {FOUND} by default."),
                },
                required=("query",),
            ),
        )

    def _search(self, args: ToolSearch) -> str:
        known = self._remotes()
        names = tuple(f"{remote.name} {remote.digest}" for remote in known)
        if self._index is None or self._index[0] != names:
            self._index = names, Index(known)
        limit = FOUND if args.limit is None or args.limit != args.limit else int(args.limit)
        found = self._index[1].search(args.query, min(max(limit, 1), MOST_FOUND))
        if not found:
            return (
                f"No tool has any of these words. There are {len(known)} tools of these servers: "
                + self._states()
            )
        shown = "\n".join(
            msgspec.json.encode(
                {"name": one.name, "description": one.description, "parameters": one.schema}
            ).decode()
            for one in found
        )
        return f"{len(found)} of {len(known)} tools, the best first:\n{shown}"

    def _states(self) -> str:
        return ", ".join(
            f"{visible_line(server.name)} ({len(server.offered)} tools"
            + (f"; {visible_line(server.error)}" if server.error else "")
            + ")"
            for server in self._servers.by_name.values()
        )

    def _listing(self, known: Sequence[Remote]) -> str:
        """Return what is said of the servers: the names of as many tools as fit."""
        if not self.deferred:
            return ""
        lines: list[str] = []
        room = LISTING_TOKENS * TOKEN_BYTES // max(1, len(self._servers.by_name))
        for server in self._servers.by_name.values():
            mine = [visible_line(one.tool) for one in known if one.server == server.name]
            line = f"\n{visible_line(server.name)} ({len(mine)} tools): "
            while mine and len(line) + len(mine[0]) + 2 <= room:
                line += f"{mine.pop(0)}, "
            lines.append(line.rstrip(", ") + (" …" if mine else ""))
        return "\nThe servers and their tools:" + "".join(lines)[: LISTING_TOKENS * TOKEN_BYTES]

    def _call_tool(self) -> Tool:
        async def call(args: CallTool, hands: Hands) -> Outcome:
            for remote in self._remotes():
                if args.name == remote.name:
                    return await self._calls.call(remote, args.arguments, hands)
            raise ToolFailed(
                f"There is no tool {args.name!r}. Find one with tool_search, and use the name that"
                " it gives."
            )

        return Tool(
            name=CALL_TOOL,
            description="Call a tool that tool_search found, by its name there.",
            params=CallTool,
            run=call,
            effect=Effect.RUN,
            schema=obj(
                {
                    "name": text("The tool's name, such as mcp__server__tool."),
                    "arguments": {
                        "type": "object",
                        "description": "What the tool takes, as tool_search shows it.",
                    },
                },
                required=("name", "arguments"),
            ),
        )

    # ---- resources ----

    def _list_tool(self, templates: bool) -> Tool:
        async def run(args: ListResources, hands: Hands) -> Outcome:
            return Outcome(await bounded(await self._list(args.server, templates), hands))

        what = "templates of resources" if templates else "resources (data by URI)"
        return Tool(
            name="list_mcp_resource_templates" if templates else "list_mcp_resources",
            description=f"List the {what} that the MCP servers have.",
            params=ListResources,
            run=run,
            effect=Effect.READ,
            schema=obj(
                {"server": text("Only of this server."), "cursor": text("Not needed: all are.")}
            ),
        )

    async def _list(self, name: str | None, templates: bool) -> str:
        wanted = list(self._servers.by_name.values()) if name is None else [self._server(name)]
        lines: list[str] = []
        for server in wanted:
            if not server.has_resources:
                continue
            try:
                connection = await self._servers.connection(server)
                listed = await connection.list(
                    "templates" if templates else "resources", server.spec.tool_timeout_s
                )
            except ServerFailed as failure:
                lines.append(str(failure))
                continue
            for one in listed.found[:RESOURCES_SHOWN]:
                kept = {key: one.get(key) for key in ("uri", "uriTemplate", "name", "description")}
                shown = {"server": server.name, **{k: v for k, v in kept.items() if v}}
                lines.append(visible(msgspec.json.encode(shown).decode()))
            if len(listed.found) > RESOURCES_SHOWN:
                lines.append(f"({len(listed.found) - RESOURCES_SHOWN} more of {server.name})")
        return "\n".join(lines) or "There are none."

    def _read_tool(self) -> Tool:
        async def run(args: ReadResource, hands: Hands) -> Outcome:
            server = self._server(args.server)
            await self._calls.permit_read(server, args.uri, hands)
            await hands.begin(ToolIntent(server.name, "resources/read", reads=True))
            try:
                connection = await self._servers.connection(server)
                read = await connection.read(args.uri, server.spec.tool_timeout_s)
            except ServerFailed as failure:
                raise ToolFailed(str(failure)) from None
            labels = frozenset(("private",)) if server.spec.has_secret else frozenset[str]()
            shown = await bounded(visible(contents(read.contents)), hands)
            return Outcome(shown, labels=labels)

        return Tool(
            name="read_mcp_resource",
            description="Read a resource of an MCP server.",
            params=ReadResource,
            run=run,
            effect=Effect.READ,
            schema=obj(
                {
                    "server": text("The server's name."),
                    "uri": text("The resource's URI, as list_mcp_resources shows it."),
                },
                required=("server", "uri"),
            ),
        )

    def _server(self, name: str) -> Server:
        server = self._servers.by_name.get(name)
        if server is None:
            names = ", ".join(map(visible_line, self._servers.by_name))
            raise ToolFailed(f"There is no MCP server {name!r}. The servers are: {names}.")
        return server


def _on_one_line(instructions: str) -> str:
    """Return what a server says of itself so that none of it looks like another one's."""
    return " ".join(instructions.split())[:INSTRUCTIONS_CHARACTERS]
