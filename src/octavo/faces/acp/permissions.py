"""Octavo's questions as permission requests, and the editor's answers read back.

What could be remembered of a yes is what octavo offers, and each offer says in its name what it
covers. Whatever is no answer to the very question is a no.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from acp import schema as acp
from acp.helpers import text_block, tool_content

from octavo.client.questions import (
    Approval,
    CommandAsked,
    Remember,
    Reply,
    ServerAsked,
    offers,
)
from octavo.faces.acp.shown import Shown, command_title
from octavo.protocol.questions import Offer
from octavo.protocol.requests import UserInputQuestion
from octavo.protocol.visible import visible, visible_command

OptionKind = Literal["allow_once", "allow_always", "reject_once", "reject_always"]
_WHERE = {"thread": "in this session", "project": "in this project", "always": "always"}


def tool_of(asked: Approval) -> Shown:
    """Return the tool call that a question is about, which waits for its answer."""
    if isinstance(asked, ServerAsked):
        return _server_tool(asked)
    said = visible(asked.reason or "")
    content: list[Any] = [tool_content(text_block(said))] if said else []
    if isinstance(asked, CommandAsked):
        host = asked.network_approval_context
        title = command_title(asked.command)
        if not isinstance(host, msgspec.UnsetType):
            title = f"Reach {visible_command(host.host)} ({host.protocol}) for: {title}"
        raw: dict[str, Any] = {"command": asked.command, "cwd": asked.cwd}
        return Shown(
            id=asked.item_id,
            title=title,
            kind="execute",
            status="pending",
            content=content,
            raw_input=raw,
        )
    places = [acp.ToolCallLocation(path=path) for path in asked.octavo_paths]
    title = f"Change {', '.join(asked.octavo_paths)}"
    return Shown(
        id=asked.item_id,
        title=title,
        kind="edit",
        status="pending",
        content=content,
        places=places,
    )


def _server_tool(asked: ServerAsked) -> Shown:
    why = visible(f"{asked.octavo_why or asked.message}\n\n{asked.octavo_arguments or ''}")
    return Shown(
        id=asked.octavo_item_id or f"{asked.turn_id}-{asked.server_name}",
        title=visible_command(f"{asked.server_name} {asked.tool}"),
        kind="other",
        status="pending",
        content=[tool_content(text_block(why))],
        raw_input=asked.meta.get("tool_params"),
    )


def options_of(asked: Approval) -> list[acp.PermissionOption]:
    """Return the answers that a question takes."""
    remembered = [
        option(f"offer:{one.id}", offer_name(one), "allow_always") for one in offers(asked)
    ]
    return [
        option("accept", "Yes, this once", "allow_once"),
        *remembered,
        option("decline", "No, go on without it", "reject_once"),
        option("cancel", "No, and stop", "reject_once"),
    ]


def offer_name(offer: Offer) -> str:
    """Say what a yes that is remembered so would cover."""
    where = _WHERE.get(offer.scope, offer.scope)
    match offer.covers:
        case "prefix":
            words = visible_command(" ".join(offer.words))
            return f"Yes, and {where} for commands that begin with: {words}"
        case "host":
            return f"Yes, and {where} for this host"
        case _:
            return f"Yes, and {where} for exactly this"


def read_reply(outcome: Any) -> Reply:
    """Return what was answered."""
    if not isinstance(outcome, acp.AllowedOutcome):
        return "cancel"
    match outcome.option_id:
        case "accept" | "cancel" as decision:
            return decision
        case chosen if chosen.startswith("offer:"):
            return Remember(chosen.removeprefix("offer:"))
        case _:
            return "decline"


def choices_of(question: UserInputQuestion) -> list[acp.PermissionOption]:
    """Return the options of a question of the model's as answers."""
    return [
        option(str(number), visible(one.label), "allow_once")
        for number, one in enumerate(question.options or ())
    ]


def option(option_id: str, name: str, kind: OptionKind) -> acp.PermissionOption:
    """One answer."""
    return acp.PermissionOption(option_id=option_id, name=name, kind=kind)
