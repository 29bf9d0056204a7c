"""Waiting for a person.

A question goes up as an event and is stored; its answer comes down as an op from any face. The
waiting object lives here and never in a message. A question that its turn does not live to see
answered is void.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import anyio

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.protocol.errors import OctavoError, TooManyDenials
from octavo.protocol.events import QuestionAnswered, QuestionAsked
from octavo.protocol.ids import new_id
from octavo.protocol.questions import Answer, CommandQuestion, Question

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.agent.judge import Context, Judge


class _Waiting:
    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Answer | None = None


class Approvals:
    """The open questions of one thread."""

    def __init__(self, journal: Journal, cancel_turn: Callable[[], None]) -> None:
        self._journal = journal
        self._cancel_turn = cancel_turn
        self._waiting: dict[str, _Waiting] = {}

    async def ask(self, turn_id: str, call_id: str, question: Question) -> Answer:
        """Ask, and wait as long as it takes."""
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
            TooManyDenials: the judge refused once too often.
        """
        from octavo.agent.judge import Verdict  # only threads with a judge need it

        turn_id, question_id = context.turn_id, new_id()
        self._journal.emit(
            QuestionAsked(turn_id, question_id, context.call_id, now_ms(), question, "reviewer")
        )
        verdict = Verdict("deny", "There is no reviewer, so nothing is approved.")
        if judge is not None:
            try:
                verdict = await judge.judge(question, context)
            except OctavoError:
                raise
            except Exception as bug:  # noqa: BLE001 - whatever it is, it is no yes
                verdict = Verdict("deny", f"The reviewer failed ({type(bug).__name__}).")
        allowed = verdict.outcome == "allow"
        decision: Literal["accept", "decline"] = "accept" if allowed else "decline"
        answer = Answer(decision, by="reviewer", reason=verdict.reason or None)
        self._journal.emit(QuestionAnswered(turn_id, question_id, now_ms(), answer, verdict.usage))
        if verdict.ends_turn and not allowed:
            raise TooManyDenials(
                "The turn was ended because the reviewer refused several times in a row. "
                f"Its last reason: {verdict.reason}",
                hint="Say more exactly what may be done, or approve it yourself.",
            )
        return answer

    def answer(self, question_id: str, answer: Answer) -> bool:
        """Answer an open question; False when it is not open any more."""
        waiting = self._waiting.get(question_id)
        if waiting is None or waiting.done.is_set():
            return False
        waiting.answer = answer
        waiting.done.set()
        return True
