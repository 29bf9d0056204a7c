"""Waiting for a person.

A question goes up as an event and is stored; its answer comes down as an op from any face. The
waiting object lives here and never in a message. A question that its turn does not live to see
answered is void.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

import anyio

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.protocol.errors import OctavoError
from octavo.protocol.events import QuestionAnswered, QuestionAsked
from octavo.protocol.ids import new_id
from octavo.protocol.questions import Answer, CommandQuestion, Question
from octavo.protocol.usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.judge import Context, Judge


Before = Callable[[str, str, Question], Awaitable[str | None]]
"""Told turn, call and question before a person is asked; returns why they are not to be."""


class _Waiting:
    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Answer | None = None


class Approvals:
    """The open questions of one thread.

    Attributes:
        before: hears every question first, and may answer it with no.
    """

    def __init__(self, journal: Journal, cancel_turn: Callable[[], None]) -> None:
        self._journal = journal
        self._cancel_turn = cancel_turn
        self._waiting: dict[str, _Waiting] = {}
        self.before: Before | None = None

    async def ask(self, turn_id: str, call_id: str, question: Question) -> Answer:
        """Ask, and wait as long as it takes."""
        if self.before is not None:
            refusal = await self.before(turn_id, call_id, question)
            if refusal is not None:
                return Answer("decline", by="policy", reason=refusal)
        question_id = new_id()
        waiting = self._waiting[question_id] = _Waiting()
        try:
            self._journal.emit(QuestionAsked(turn_id, question_id, call_id, now_ms(), question))
            await waiting.done.wait()
        finally:
            del self._waiting[question_id]
        assert waiting.answer is not None
        self._journal.emit(QuestionAnswered(turn_id, question_id, now_ms(), waiting.answer))
        if waiting.answer.decision == "cancel":
            self._cancel_turn()
            await anyio.sleep_forever()
        return waiting.answer

    async def judged(
        self, judge: Judge | None, question: CommandQuestion, context: Context
    ) -> Answer:
        """Have a judge answer in a person's place; question and answer are in the log all the same.

        Raises:
            OctavoError: the judge ends the turn.
        """
        turn_id, question_id = context.turn_id, new_id()
        self._journal.emit(
            QuestionAsked(turn_id, question_id, context.call_id, now_ms(), question, "reviewer")
        )
        reason = "There is no reviewer, so nothing is approved."
        decision: Literal["accept", "decline"] = "decline"
        usage: Usage | None = None
        if judge is not None:
            try:
                verdict = await judge.judge(question, context)
            except OctavoError as end:  # the log says how it came to that, and what it cost
                answer = Answer("decline", by="reviewer", reason=str(end))
                spent = getattr(end, "usage", None)
                self._journal.emit(QuestionAnswered(turn_id, question_id, now_ms(), answer, spent))
                raise
            except Exception as bug:  # noqa: BLE001 - whatever it is, it is no yes
                reason = f"The reviewer failed ({type(bug).__name__})."
            else:
                reason, usage = verdict.reason, verdict.usage
                decision = "accept" if verdict.outcome == "allow" else "decline"
        answer = Answer(decision, by="reviewer", reason=reason)
        self._journal.emit(QuestionAnswered(turn_id, question_id, now_ms(), answer, usage))
        return answer

    def answer(self, question_id: str, answer: Answer) -> bool:
        """Answer an open question; False when it is not open any more."""
        waiting = self._waiting.get(question_id)
        if waiting is None or waiting.done.is_set():
            return False
        waiting.answer = answer
        waiting.done.set()
        return True
