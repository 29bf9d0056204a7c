"""The description of the protocol is what is spoken, and what is in docs/protocol."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from octavo.protocol import schema
from octavo.protocol.asking import question_request
from octavo.protocol.events import QuestionAsked
from octavo.protocol.methods import INITIALIZE
from octavo.protocol.questions import (
    Ask,
    CommandQuestion,
    FileChangeQuestion,
    Grant,
    InputQuestion,
    NetworkQuestion,
    Offer,
    Option,
    Program,
    Question,
)
from octavo.protocol.requests import REQUESTS
from octavo.server.methods import TABLE

DOCS = Path(__file__).parents[2] / "docs/protocol"
REGENERATE = "run `octavo app-server schema --out docs/protocol`"


def test_what_is_in_docs_is_what_the_types_say() -> None:
    assert (DOCS / schema.JSON_FILE).read_text() == schema.json_schema(), REGENERATE
    assert (DOCS / schema.TYPESCRIPT_FILE).read_text() == schema.typescript(), REGENERATE


def test_every_method_that_is_answered_is_described_and_none_besides() -> None:
    assert schema.client_requests().keys() == TABLE.keys() | {INITIALIZE.name}


def test_no_reference_leads_nowhere() -> None:
    whole = schema.document()
    named = set(re.findall(r'"#/\$defs/([^"]+)"', schema.json_schema()))
    assert named <= whole["$defs"].keys()
    said = schema.typescript()
    assert all(f"export type {name} =" in said for name in named)


def test_what_the_server_always_sends_is_required_and_what_a_client_may_leave_out_is_not() -> None:
    parts: dict[str, Any] = schema.document()["$defs"]
    assert set(parts["Thread"]["required"]) == set(parts["Thread"]["properties"])
    assert "model" not in parts["ThreadStartParams"].get("required", ())
    assert "activeFlags" not in parts["ThreadStatus"]["required"]


OFFER = Offer("x", "always", "prefix", ("ls",))
QUESTIONS = [
    CommandQuestion("ls", "/"),
    CommandQuestion(
        *("ls\x1b", "/", "why", True, "because", ("a:1",), (Program("ls"),), ("/x",)),
        grant=Grant(("/x",), ("*.org",)),
        offers=(OFFER,),
    ),
    FileChangeQuestion(("/x",), None, (OFFER,)),
    NetworkQuestion("a.org", "dns", 0, "curl", "/", "why", (OFFER,)),
    InputQuestion((Ask("a", "Head", "Which?", (Option("one"),)),)),
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_asked_as_it_is_described(question: Question) -> None:
    method, params = question_request("t", QuestionAsked("u", "q", "c", 1, question))
    kind = next(request.params for request in REQUESTS if request.name == method)
    sent = msgspec.json.decode(msgspec.json.encode(params))

    read = msgspec.convert(sent, kind)
    assert msgspec.json.decode(msgspec.json.encode(read)) == sent
