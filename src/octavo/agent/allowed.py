"""What a person allowed beforehand. Light: every server knows it, also one without threads."""

from __future__ import annotations

import msgspec


class Allowed(msgspec.Struct, frozen=True):
    """What the person allowed on the command line, for as long as the program runs.

    Attributes:
        commands: first words of commands that are not asked about; () is all of them. They run in
            the cage like any other.
        hosts: patterns of hosts that commands may reach.
        mcp: tools of MCP servers that are not asked about: SERVER, or SERVER.TOOL.
        push: git may talk to the remote of the repository.
        approve_for_me: a model judges in the person's place.
        unasked: what would be asked is accepted; with full access only.
    """

    commands: tuple[tuple[str, ...], ...] = ()
    hosts: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    push: bool = False
    approve_for_me: bool = False
    unasked: bool = False
