"""What a server asks a client, typed, and what can be answered.

An `Answerer` is given one question and returns a reply: a decision, a `Remember` that takes one of
the offers made, or, for questions of the model's, the texts chosen by the questions' ids. What it
does not return is never allowed: a question that nobody understands, or an answerer that fails, is
a no.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from octavo.protocol.asking import APPROVE_COMMAND, APPROVE_FILE_CHANGE, ELICIT, REQUEST_USER_INPUT
from octavo.protocol.questions import Offer
from octavo.protocol.requests import (
    CommandApprovalParams,
    ElicitationParams,
    FileChangeApprovalParams,
    UserInputParams,
)
from octavo.rpc import NO_METHOD, RpcError

CommandAsked = CommandApprovalParams
"""May this command run, or reach this host (`network_approval_context`)?"""
FileChangeAsked = FileChangeApprovalParams
"""May these files be changed?"""
InputAsked = UserInputParams
"""The model asks the person something."""


class ServerAsked(ElicitationParams, frozen=True, kw_only=True):
    """May this tool of an MCP server be called (`is_tool`)? Or the server itself asks something.

    To the latter, reply with what was filled into the form of `requested_schema`.
    """

    @property
    def is_tool(self) -> bool:
        """Whether it is octavo that asks, about a tool."""
        return isinstance(self.meta, dict) and "codex_approval_kind" in self.meta

    @property
    def tool(self) -> str:
        """The tool's name; empty where the server asks."""
        return str(self.meta.get("tool_name", "")) if self.is_tool else ""


Asked = CommandAsked | FileChangeAsked | InputAsked | ServerAsked
Approval = CommandAsked | FileChangeAsked | ServerAsked
"""What is answered with yes or no; of `ServerAsked`, where it is about a tool."""

Decision = Literal["accept", "decline", "cancel"]
""""accept" is for this once; "cancel" is a no that ends the turn."""


class Remember(msgspec.Struct, frozen=True):
    """Yes, and remember it as one of the question's offers says."""

    offer_id: str


Answers = Mapping[str, Any]
"""For `InputAsked`: what was chosen or written, by the questions' ids. For a form of an MCP server:
what was filled in, by the fields' names."""
Reply = Decision | Remember | Answers
Answerer = Callable[[Asked], Awaitable[Reply]]

_KINDS: dict[str, type[Asked]] = {
    APPROVE_COMMAND: CommandAsked,
    APPROVE_FILE_CHANGE: FileChangeAsked,
    REQUEST_USER_INPUT: InputAsked,
    ELICIT: ServerAsked,
}


async def decline(asked: Asked) -> Reply:
    """Say no to everything; what stands for a person where there is none."""
    return {} if isinstance(asked, InputAsked) else "decline"


def offers(asked: Approval) -> tuple[Offer, ...]:
    """Return how a yes could be remembered."""
    return () if asked.octavo_offers is msgspec.UNSET else asked.octavo_offers


def read_question(method: str, params: bytes) -> Asked:
    """Read a server request.

    Raises:
        RpcError: it is not one that this client knows.
    """
    kind = _KINDS.get(method)
    if kind is None:
        raise RpcError(NO_METHOD, f"This client has no answer to {method!r}.")
    return msgspec.json.decode(params, type=kind)


def write_reply(asked: Asked, reply: Reply) -> dict[str, Any]:
    """Return the result of the request that `reply` is the answer to."""
    if isinstance(asked, InputAsked):
        given = reply if isinstance(reply, Mapping) else {}
        texts = {key: (one,) if isinstance(one, str) else tuple(one) for key, one in given.items()}
        return {"answers": {key: {"answers": list(some)} for key, some in texts.items()}}
    if isinstance(asked, ServerAsked):
        return _server_result(asked, reply)
    match reply:
        case Remember() if all(one.id != reply.offer_id for one in offers(asked)):
            return {"decision": "decline"}
        case Remember():
            return {"decision": "accept", "octavoRemember": reply.offer_id}
        case "accept" | "cancel":
            return {"decision": reply}
        case _:
            return {"decision": "decline"}


_PERSIST = {"thread": "session", "always": "always"}
"""By an offer's id, how a yes to a tool says that it is to be remembered."""


def _server_result(asked: ServerAsked, reply: Reply) -> dict[str, Any]:
    """A form is accepted with what was filled in and nothing else, a tool with a yes."""
    if isinstance(reply, Mapping):
        if asked.is_tool or asked.mode == "url":
            return {"action": "decline"}
        return {"action": "accept", "content": dict(reply)}
    if isinstance(reply, Remember):
        persist = _PERSIST.get(reply.offer_id)
        offered = any(one.id == reply.offer_id for one in offers(asked))
        if not asked.is_tool or persist is None or not offered:
            return {"action": "decline"}
        return {"action": "accept", "content": {}, "_meta": {"persist": persist}}
    if reply == "accept" and not asked.is_tool and asked.mode == "form":
        return {"action": "decline"}
    return {"action": reply, "content": {} if reply == "accept" else None}
