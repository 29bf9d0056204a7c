"""When a person is asked about a call, and what counts as their answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.mcp.judging import why_ask
from octavo.mcp.pins import Pin
from octavo.mcp.remote import remotes
from octavo.mcp.servers import Server
from octavo.mcp.spec import make_spec
from octavo.protocol.asking import read_answer
from octavo.protocol.questions import ElicitationQuestion, Offer, ToolQuestion
from octavo.sandbox import Mode, Policy
from tests.mcp.servers import server, tool

LEAVING = "It may leave."
STAYS = {"readOnlyHint": True, "openWorldHint": False}
LEAVES = {"readOnlyHint": True}
DESTROYS = {"destructiveHint": True}


def known(
    annotations: dict[str, Any] | None, *, agreed: bool = True, now: str = "Does it.", **fields: Any
) -> Server:
    """A server whose one tool was described as "Does it."."""
    spec = make_spec(
        "acting",
        server(command="acting", **fields),
        policy=Policy(Mode.WORKSPACE_WRITE, Path("/work")),
        octavo_home=Path("/home/ada/.octavo"),
        environ={},
    )
    described = tool("do", "Does it.", annotations=annotations)
    found = Server(spec, Pin(spec.digest, (described,), agreed=agreed))
    found.tools = remotes("acting", [{**described, "description": now}])
    return found


@pytest.mark.parametrize(
    ("one", "leaving", "asked"),
    [
        (known(STAYS), None, False),
        (known(LEAVES), None, False),
        (known(DESTROYS), None, True),
        (known({"readOnlyHint": False, "destructiveHint": False}), None, True),
        (known({}), None, True),
        (known({"readOnlyHint": "yes"}), None, True),
        (known(STAYS, agreed=False), None, True),
        (known(STAYS, now="Does something else."), None, True),
        (known(STAYS, now="Else.", default_tools_approval_mode="approve"), None, True),
        (known(DESTROYS, agreed=False, default_tools_approval_mode="approve"), None, False),
        (known(STAYS, default_tools_approval_mode="prompt"), None, True),
        # A thread that has read secrets and strangers' words:
        (known(LEAVES), LEAVING, False),  # it reaches no host
        (known(LEAVES, network=("example.com",)), LEAVING, True),
        (known(STAYS, network=("example.com",)), LEAVING, False),
        (
            known(LEAVES, network=("example.com",), default_tools_approval_mode="approve"),
            LEAVING,
            True,
        ),
    ],
)
def test_when_a_person_is_asked(one: Server, leaving: str | None, asked: bool) -> None:
    [remote] = one.tools

    why = why_ask(one, remote, allowed=(), leaving=leaving)

    assert (why is not None) is asked
    assert why_ask(one, remote, allowed=("acting",), leaving=leaving) is None
    assert why_ask(one, remote, allowed=("acting.do",), leaving=leaving) is None
    assert why_ask(one, remote, allowed=("other", "acting.don"), leaving=leaving) == why


THREAD = Offer("thread", "thread", "exact")
TOOL = ToolQuestion("acting", "do", "{}", "Why.", offers=(THREAD,))
FORM = ElicitationQuestion("acting", "Your name?", "{}")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.one_of(
        st.binary(max_size=40),
        JSON.map(msgspec.json.encode),
        st.fixed_dictionaries(
            {"action": st.sampled_from(["accept", "decline", "cancel", "yes"]) | JSON},
            optional={"content": JSON, "_meta": JSON | st.just({"persist": "session"})},
        ).map(msgspec.json.encode),
    ),
    st.sampled_from([TOOL, FORM, msgspec.structs.replace(TOOL, offers=())]),
)
def test_only_an_accept_is_a_yes(result: bytes, question: ToolQuestion) -> None:
    answer = read_answer(question, result)

    try:
        said = msgspec.json.decode(result)
    except msgspec.DecodeError:
        said = None
    accepted = isinstance(said, dict) and said.get("action") == "accept"
    assert answer.yes is accepted
    if answer.decision == "acceptForSession":
        assert isinstance(said, dict)
        assert said["_meta"] == {"persist": "session"}
        assert question.offers
