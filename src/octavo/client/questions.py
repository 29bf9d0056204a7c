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

from octavo.protocol.asking import APPROVE_COMMAND, APPROVE_FILE_CHANGE, REQUEST_USER_INPUT
from octavo.protocol.questions import Offer
from octavo.protocol.requests import (
    CommandApprovalParams,
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
Asked = CommandAsked | FileChangeAsked | InputAsked
Approval = CommandAsked | FileChangeAsked

Decision = Literal["accept", "decline", "cancel"]
""""accept" is for this once; "cancel" is a no that ends the turn."""


class Remember(msgspec.Struct, frozen=True):
    """Yes, and remember it as one of the question's offers says."""

    offer_id: str


Answers = Mapping[str, str | tuple[str, ...]]
"""For `InputAsked`: what was chosen or written, by the questions' ids."""
Reply = Decision | Remember | Answers
Answerer = Callable[[Asked], Awaitable[Reply]]

_KINDS: dict[str, type[Asked]] = {
    APPROVE_COMMAND: CommandAsked,
    APPROVE_FILE_CHANGE: FileChangeAsked,
    REQUEST_USER_INPUT: InputAsked,
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
    match reply:
        case Remember():
            return {"decision": "accept", "octavoRemember": reply.offer_id}
        case "accept" | "cancel":
            return {"decision": reply}
        case _:
            return {"decision": "decline"}
