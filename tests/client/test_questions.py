"""Replies as the protocol's results: what was not offered, or does not fit, is never a yes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.client.questions import Remember, ServerAsked, read_question, write_reply
from octavo.protocol.asking import APPROVE_COMMAND, APPROVE_FILE_CHANGE, ELICIT, REQUEST_USER_INPUT
from octavo.rpc import NO_METHOD, RpcError
from tests.sampling import sample

WHERE = {"threadId": "t", "turnId": "u", "itemId": "i"}
OFFERS = [{"id": "thread", "scope": "thread", "covers": "exact"}]
COMMAND = {
    **WHERE,
    "kind": "command",
    "startedAtMs": 1,
    "approvalId": None,
    "environmentId": None,
    "command": "ls",
    "cwd": "/",
    "reason": None,
    "commandActions": [],
    "availableDecisions": [],
    "octavoOffers": OFFERS,
}
FILES = {
    **WHERE,
    "startedAtMs": 1,
    "reason": None,
    "grantRoot": None,
    "octavoPaths": ["/a"],
    "octavoOffers": [],
}
INPUT = {**WHERE, "questions": [], "isBlocking": True, "autoResolutionMs": None}
SERVER = {"threadId": "t", "turnId": "u", "serverName": "s", "mode": "form", "message": "?"}
TOOL = {
    **SERVER,
    "_meta": {"codex_approval_kind": "mcp_tool_call", "tool_name": "x"},
    "octavoOffers": OFFERS,
}
PAGE = {**SERVER, "mode": "url", "url": "https://example.invalid"}
ALL = [
    (APPROVE_COMMAND, COMMAND),
    (APPROVE_FILE_CHANGE, FILES),
    (REQUEST_USER_INPUT, INPUT),
    (ELICIT, SERVER),
    (ELICIT, TOOL),
    (ELICIT, PAGE),
]
REPLIES = st.one_of(
    st.sampled_from(["accept", "decline", "cancel", "Accept", ""]),
    st.builds(Remember, st.sampled_from(["thread", "always", "other", ""])),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    st.none(),
)


def asked(method: str, params: dict[str, Any]) -> Any:
    return read_question(method, msgspec.json.encode(params))


@settings(max_examples=sample(5_000, 300))
@given(st.sampled_from(ALL), REPLIES)
def test_only_a_yes_that_fits_is_a_yes(one: tuple[str, dict[str, Any]], reply: Any) -> None:
    question = asked(*one)
    result = write_reply(question, reply)
    yes = result.get("decision") == "accept" or result.get("action") == "accept"

    form = isinstance(question, ServerAsked) and not question.is_tool and question.mode == "form"
    if form:
        assert yes == isinstance(reply, dict)
    elif one[0] == REQUEST_USER_INPUT:
        assert result["answers"].keys() == (reply if isinstance(reply, dict) else {}).keys()
    elif isinstance(reply, Remember):
        offered = any(one["id"] == reply.offer_id for one in one[1].get("octavoOffers", []))
        assert yes == offered
    else:
        assert yes == (reply == "accept")


def test_a_question_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RpcError) as refused:
        asked("item/brain/requestScan", {})
    assert refused.value.code == NO_METHOD
