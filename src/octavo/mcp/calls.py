"""Calls of servers' tools: asked about where that is needed, recorded, carried out, told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from octavo.mcp.connection import ServerFailed
from octavo.mcp.judging import flag_for, how_to_allow, may_leave, seen_first, why_ask
from octavo.mcp.pins import with_tool
from octavo.mcp.remote import Remote
from octavo.mcp.results import for_model
from octavo.mcp.servers import Server, Servers
from octavo.mcp.shown import tool_lines
from octavo.protocol.events import CallFacts, ToolIntent
from octavo.protocol.questions import Answer, Offer, ToolQuestion
from octavo.protocol.visible import visible_command, visible_line
from octavo.tools import Declined, Effect, Hands, Outcome, Tool, ToolFailed

THREAD = Offer("thread", "thread", "exact")
ALWAYS = Offer("always", "always", "exact")
PROGRESS_EVERY_S = 0.1
_SHOWN_CHARACTERS = 2_000


class Calls:
    """Makes tools of servers' tools.

    Args:
        allowed: what was allowed on the command line.
        leaving: says why only a person can let something leave now, where that is so.
        repin: has a person's yes to a changed tool remembered.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        allowed: Sequence[str],
        leaving: Callable[[], str | None],
        repin: Callable[[Server, Remote], None],
    ) -> None:
        self._servers = servers
        self._allowed = allowed
        self._leaving = leaving
        self._repin = repin
        self._open: dict[str, list[Hands]] = {}

    def tool(self, remote: Remote) -> Tool:
        """Return a server's tool as one of octavo's."""

        async def run(arguments: dict[str, Any], hands: Hands) -> Outcome:
            return await self.call(remote, arguments, hands)

        return Tool(
            name=remote.name,
            description=remote.description,
            run=run,
            effect=Effect.RUN,
            schema=remote.schema,
        )

    def hands_of(self, server: str) -> Hands | None:
        """Return the hands of a call that waits for a server now, so that it may ask a person."""
        waiting = self._open.get(server)
        return waiting[-1] if waiting else None

    async def call(self, remote: Remote, arguments: dict[str, Any], hands: Hands) -> Outcome:
        """Call a tool, if that may be.

        Raises:
            Declined: it may not.
            ToolFailed: there is no result; says whether it may have had its effect.
        """
        server = self._servers.by_name[remote.server]
        try:
            connection = await self._servers.connection(server)
        except ServerFailed as failure:
            raise ToolFailed(f"{failure} Nothing was called. Go on without it.") from None
        remote = self._as_it_is_now(server, remote)
        await self._permit(server, remote, arguments, hands)
        agreed = server.agreed.get(remote.tool)
        reads = (
            remote.hints.read_only_hint and agreed is not None and agreed.digest == remote.digest
        )
        await hands.begin(ToolIntent(remote.server, remote.tool, reads))
        began_s = time.monotonic()
        waiting = self._open.setdefault(remote.server, [])
        waiting.append(hands)
        try:
            result = await connection.call(
                remote.tool, arguments, server.spec.tool_timeout_s, _sparing(hands.progress)
            )
        except ServerFailed as failure:
            unsure = failure.unsure and not reads
            doubt = " It may have had its effect: look before you repeat it." if unsure else ""
            raise ToolFailed(f"{failure}{doubt}") from None
        finally:
            waiting.remove(hands)
        wall_s = time.monotonic() - began_s
        return Outcome(
            content=await for_model(result, hands, wall_s=wall_s),
            ok=not result.is_error,
            facts=CallFacts(duration_ms=round(wall_s * 1000)),
            labels=frozenset(("private",)) if server.spec.has_secret else frozenset(),
        )

    def _as_it_is_now(self, server: Server, remote: Remote) -> Remote:
        """Return a tool as its server describes it now.

        Raises:
            ToolFailed: the server does not have it any more.
        """
        for now in server.tools:
            if now.tool == remote.tool:
                return now
        raise ToolFailed(
            f"MCP server {remote.server} does not have the tool {visible_line(remote.tool)} any"
            " more. Nothing was called."
        )

    async def _permit(
        self, server: Server, remote: Remote, arguments: dict[str, Any], hands: Hands
    ) -> None:
        leaving = self._leaving()
        why = why_ask(server, remote, allowed=self._allowed, leaving=leaving)
        if why is None:
            return
        if not hands.asks:
            raise Declined(
                f"Not called: it needs the user's leave, and nobody can be asked here. {why}"
                f" {how_to_allow(server, remote)} Go on without it, and say in your answer what is"
                " missing."
            )
        drifted = bool(server.agreed) and server.agreed.get(remote.tool) != remote
        # Nothing is remembered of a yes to what leaves.
        leaves = leaving is not None and may_leave(server, remote)
        offers: tuple[Offer, ...] = () if leaves else (THREAD, ALWAYS) if drifted else (THREAD,)
        said = "\n".join(tool_lines(server, remote, whole=True))
        if len(said) > _SHOWN_CHARACTERS:  # nobody agrees for good to what they cannot see whole
            said = f"{said[:_SHOWN_CHARACTERS]}\n… ({len(said):,} characters)"
            offers = tuple(offer for offer in offers if offer is not ALWAYS)
        sight = seen_first(server, remote) if offers else None
        shown = msgspec.json.format(msgspec.json.encode(arguments), indent=2).decode()
        if len(shown) > _SHOWN_CHARACTERS:
            shown = f"{shown[:_SHOWN_CHARACTERS]}\n… ({len(shown):,} characters)"
        question = ToolQuestion(
            server=remote.server,
            tool=remote.tool,
            arguments=visible_command(shown),
            why=why if sight is None else f"{why} {sight.told}",
            said=said,
            key=remote.digest if sight is None else sight.key,
            offers=offers,
        )
        answer = await _agreed(question, hands)
        if answer.remember == ALWAYS.id:
            self._repin(server, remote)

    async def permit_read(self, server: Server, uri: str, hands: Hands) -> None:
        """Let a resource be read: its URI is a word of the model's, and may carry anything out.

        Raises:
            Declined: it may not.
        """
        why = self._leaving()
        if why is None or not server.spec.reaches or server.name in self._allowed:
            return
        if not hands.asks:
            raise Declined(
                f"Not read: it needs the user's leave, and nobody can be asked here. {why} The user"
                f" can start octavo with {flag_for(server.name)}. Go on without it, and say in your"
                " answer what is missing."
            )
        shown = msgspec.json.encode({"uri": uri[:_SHOWN_CHARACTERS]}).decode()
        question = ToolQuestion(server.name, "resources/read", visible_command(shown), why)
        await _agreed(question, hands)


async def _agreed(question: ToolQuestion, hands: Hands) -> Answer:
    """Ask, and return the yes. Raises Declined."""
    answer = await hands.ask(question)
    if answer.yes:
        return answer
    reason = f" {answer.reason}" if answer.reason else ""
    raise Declined(
        f"The user declined this call. Nothing was called.{reason} Do not repeat it unless they ask"
        " for it."
    )


def _sparing(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return what tells progress now and then, however often there is some."""
    told_at_s = -math.inf

    def tell_sometimes(text: str) -> None:
        nonlocal told_at_s
        now_s = time.monotonic()
        if now_s - told_at_s >= PROGRESS_EVERY_S:
            told_at_s = now_s
            tell(text)

    return tell_sometimes


def repinned(server: Server, remote: Remote) -> None:
    """Take a tool, as it is now, for what a person agreed to."""
    if server.pin is not None and server.pin.agreed:
        server.pin = replace(with_tool(server.pin, remote), agreed=True)
        server.agreed[remote.tool] = remote
