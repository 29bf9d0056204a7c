"""A reviewer that takes too long has refused; what it is shown is bounded."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from octavo.agent.evidence import TRANSCRIPT_CHARS, USER_CHARS, evidence
from octavo.agent.judge import Context
from octavo.agent.reviewer import Reviewer
from octavo.context.encode import message, text_part
from octavo.model import Provider
from octavo.model.providers.responses import Responses
from octavo.protocol import events as ev
from octavo.protocol.fold import Thread, fold
from octavo.protocol.questions import CommandQuestion
from octavo.sandbox import Mode, Policy
from octavo.trial.scripted import answer, say, serve
from tests.protocol.test_fold import STARTED, turn

pytestmark = pytest.mark.anyio

QUESTION = CommandQuestion("git reset --hard", "/w")


def context(thread: Thread) -> Context:
    return Context("1", "c", thread, Policy(Mode.WORKSPACE_WRITE, Path("/w")))


def thread_in_which_the_user_says(*texts: str) -> Thread:
    raws = [message("user", [text_part(text)]) for text in texts]
    return fold(
        [
            STARTED,
            turn(),
            *(ev.UserSpoke("1", f"u{n}", 0, msgspec.Raw(r)) for n, r in enumerate(raws)),
        ]
    )


async def test_an_answer_that_does_not_come_in_time_is_a_no() -> None:
    async with serve([answer(say("{}"), stall_after=0)]) as server:
        provider = Provider("x", "x", server.base_url)
        reviewer = Reviewer(Responses(provider), "m", "t", timeout_s=0.2)
        verdict = await reviewer.judge(QUESTION, context(Thread()))

    assert verdict.outcome == "deny"
    assert "did not answer" in verdict.reason


def test_the_first_and_the_newest_words_of_the_user_are_shown_and_what_is_missing_is_said() -> None:
    thread = thread_in_which_the_user_says(*(f"<{n}>" + "x" * 1000 for n in range(100)))
    said = msgspec.json.decode(evidence(QUESTION, context(thread)))["user_messages"]

    assert said[0].startswith("<0>")
    assert said[-1].startswith("<99>")
    assert "messages are left out here" in said[1]
    assert sum(map(len, said)) <= USER_CHARS + 200


def test_a_long_transcript_is_cut_at_its_beginning() -> None:
    spoke = message("user", [text_part("x")])
    output = {"type": "function_call_output", "call_id": "c", "output": "y" * 9000}
    events = [
        ev.ContextAdded("1", f"k{n}", "d", msgspec.Raw(msgspec.json.encode(output)))
        for n in range(50)
    ]
    thread = fold([STARTED, turn(), ev.UserSpoke("1", "u", 0, msgspec.Raw(spoke)), *events])
    happened = msgspec.json.decode(evidence(QUESTION, context(thread)))["untrusted_transcript"]

    assert happened[0] == "[what happened before is left out]"
    assert sum(map(len, happened)) <= TRANSCRIPT_CHARS + 100
