"""Octavo's questions as elicitations, and a person's answers read back.

The form has one field, whose choices are sentences; an answer that is none of them is a no. Nothing
that holds longer than the thread is offered: whether it is a person who fills in the form cannot be
seen here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mcp import types
from octavo.client.questions import (
    Approval,
    Asked,
    CommandAsked,
    InputAsked,
    Remember,
    Reply,
    ServerAsked,
    offers,
)
from octavo.protocol.visible import visible, visible_command

FIELD = "decision"
YES, YES_IN_THREAD = "Yes, this once", "Yes, and for exactly this in this thread"
NO, STOP = "No, go on without it", "No, and stop"


def elicitation(asked: Asked) -> types.ElicitRequestFormParams:
    """Return what asks a person."""
    if isinstance(asked, InputAsked):
        return types.ElicitRequestFormParams(
            message="\n".join(visible(one.question) for one in asked.questions),
            requested_schema={
                "type": "object",
                "properties": {one.id: _property(one) for one in asked.questions},
                "required": [one.id for one in asked.questions],
            },
        )
    if isinstance(asked, ServerAsked) and not asked.is_tool:
        return types.ElicitRequestFormParams(
            message=f"The MCP server {visible_command(asked.server_name)} asks: {asked.message}",
            requested_schema=asked.requested_schema or {"type": "object", "properties": {}},
        )
    field = {"type": "string", "title": "Answer", "enum": list(_choices(asked))}
    return types.ElicitRequestFormParams(
        message=_message(asked),
        requested_schema={"type": "object", "properties": {FIELD: field}, "required": [FIELD]},
    )


def read_result(asked: Asked, result: Any) -> Reply:
    """Return what was answered; whatever is none of the choices is a no."""
    if not isinstance(result, types.ElicitResult) or result.action == "decline":
        return {} if isinstance(asked, InputAsked) else "decline"
    content = result.content or {}
    if isinstance(asked, ServerAsked) and not asked.is_tool:
        return dict(content) if result.action == "accept" else "decline"
    if isinstance(asked, InputAsked):
        if result.action != "accept":
            return {}
        known = {one.id for one in asked.questions}
        return {key: str(value) for key, value in content.items() if key in known}
    if result.action == "cancel":
        return "cancel"
    return _choices(asked).get(str(content.get(FIELD)), "decline")


def _choices(asked: Approval) -> dict[str, Reply]:
    choices: dict[str, Reply] = {YES: "accept"}
    for one in offers(asked):
        if one.scope == "thread" and one.covers == "exact":
            choices[YES_IN_THREAD] = Remember(one.id)
    return choices | {NO: "decline", STOP: "cancel"}


def _message(asked: Approval) -> str:
    if isinstance(asked, ServerAsked):
        return visible(asked.message)
    reason = visible(asked.reason or "")
    if not isinstance(asked, CommandAsked):
        paths = ", ".join(map(visible_command, asked.octavo_paths))
        return f"May octavo change {paths}?\n{reason}".strip()
    host = asked.network_approval_context
    what = "run this command"
    if not isinstance(host, msgspec.UnsetType):
        what = f"reach {visible_command(host.host)} ({host.protocol}) with this command"
    return f"May octavo {what} in {asked.cwd}?\n\n{asked.command}\n\n{reason}".strip()


def _property(question: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string", "title": visible(question.question)}
    if question.options:
        found["enum"] = [one.label for one in question.options]
    return found
