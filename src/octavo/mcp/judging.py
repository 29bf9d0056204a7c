"""May a tool of a server be called without a question?

What a server says of its tools is its own word. It counts once a person has agreed to exactly that;
until then, and for whatever differs since, every call is asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from octavo.mcp.remote import NAME_CHARACTERS, Remote
from octavo.mcp.servers import Server
from octavo.protocol.visible import visible_line

SIGHT_NAMES = 30
"""How many tools are named in one question."""


class Sight(msgspec.Struct, frozen=True):
    """One question for several tools.

    Attributes:
        key: stands for these tools, as they are described now.
        told: what the person is told of it, in sentences.
    """

    key: str
    told: str


def why_ask(
    server: Server, tool: Remote, *, allowed: Sequence[str], leaving: str | None
) -> str | None:
    """Return why a person has to be asked about a call, in sentences; None if nobody has.

    Args:
        allowed: what was allowed on the command line: SERVER or SERVER.TOOL.
        leaving: why only a person can let something leave now, where that is so.
    """
    if tool.server in allowed or f"{tool.server}.{tool.tool}" in allowed:
        return None
    mode = server.spec.approval_mode(tool.tool)
    agreed = server.agreed.get(tool.tool)
    also = f" {leaving}" if leaving is not None and may_leave(server, tool) else ""
    name = visible_line(tool.tool)
    if server.agreed and agreed is None:
        return (
            f"You have not agreed to {name}: it was not there when you agreed to its server.{also}"
        )
    if agreed is not None and agreed.digest != tool.digest:
        return f"What the server says of {name} is not what you agreed to.{also}"
    hints = tool.hints
    if also:
        return leaving
    if mode == "approve":
        return None
    if mode == "prompt":
        return "Your settings want every call of it to be asked about."
    if agreed is None:
        return "You have not agreed yet to what its server says of its tools."
    if hints.read_only_hint:
        return None
    if hints.destructive_hint:
        return "It may change or delete things, as far as its server says."
    return "It changes things, as its server says."


def seen_first(server: Server, tool: Remote) -> Sight | None:
    """Return what one yes for the thread covers at a server that nobody agreed to yet.

    All its tools that only read, as far as it says, where settings say nothing else of them: a
    question for each of them would be the same question. None where `tool` is not one of several
    such: a yes to it is for it alone.
    """
    if server.agreed:
        return None
    covered = [
        one
        for one in server.offered
        if one.hints.read_only_hint and server.spec.approval_mode(one.tool) == "auto"
    ]
    if len(covered) < 2 or all(one.tool != tool.tool for one in covered):
        return None
    names = [visible_line(one.tool[:NAME_CHARACTERS]) for one in covered[:SIGHT_NAMES]]
    more = len(covered) - len(names)
    listed = ", ".join(names) + (f" and {more} more" if more else "")
    told = (
        "It only reads, as far as its server says. A yes for this thread is one to all of its tools"
        f" that say so, for as long as they stay as described: {listed}."
    )
    digests = sorted(one.digest for one in covered)
    key = hashlib.sha256(msgspec.json.encode([server.spec.digest, digests])).hexdigest()
    return Sight(f"sight:{key}", told)


def may_leave(server: Server, tool: Remote) -> bool:
    """Return whether what a call is given may leave this machine."""
    agreed = server.agreed.get(tool.tool)
    is_agreed = agreed is not None and agreed.digest == tool.digest
    stays = is_agreed and not tool.hints.open_world_hint
    return bool(server.spec.reaches) and not stays


def flag_for(what: str) -> str:
    """Return what allows a server, or a tool, on the command line: also a name that is a trap."""
    import shlex

    return f"--allow-mcp {shlex.quote(visible_line(what))}"


def how_to_allow(server: Server, tool: Remote) -> str:
    """Return what a person can do so that a call is not refused where nobody can be asked."""
    flag = f"The user can start octavo with {flag_for(f'{tool.server}.{tool.tool}')}"
    agreed = server.agreed.get(tool.tool)
    if agreed is not None and agreed.digest == tool.digest:
        return f"{flag}."
    return f"{flag}, or look at the server's tools with `octavo mcp accept {tool.server}`."
