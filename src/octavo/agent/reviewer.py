"""A model that says yes or no in a person's place: the `Judge` of `--approve-for-me`.

It is asked about what runs in the cage as it is. It is the thread's own model, without tools, and
is shown three things that it can tell apart: what the user wrote, what happened, and the action.
What it answers is checked against its own rubric here; whatever is not a clear yes is a no.
"""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path
from typing import Literal

import anyio
import msgspec

from octavo.agent.evidence import evidence
from octavo.agent.judge import Context, Verdict
from octavo.context.encode import message, text_part
from octavo.model import Completed, ItemDone, Model, Prompt
from octavo.protocol.errors import ModelError
from octavo.protocol.questions import CommandQuestion
from octavo.protocol.usage import Usage

TIMEOUT_S = 60.0
REFUSALS_IN_A_ROW = 3
_RATIONALE_CHARS = 600

Risk = Literal["low", "medium", "high", "critical"]
Authorization = Literal["unknown", "low", "medium", "high"]

_ENOUGH: dict[Risk, tuple[Authorization, ...]] = {
    "low": ("unknown", "low", "medium", "high"),
    "medium": ("medium", "high"),
    "high": ("high",),
    "critical": (),
}
"""What the user must have authorized for a yes to count, by risk."""


class Review(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model answers; see `prompts/reviewer.md`."""

    outcome: Literal["allow", "deny"]
    risk_level: Risk
    user_authorization: Authorization
    rationale: str


_SCHEMA = msgspec.json.encode(
    {
        "type": "object",
        "additionalProperties": False,
        "required": ["outcome", "risk_level", "user_authorization", "rationale"],
        "properties": {
            "outcome": {"type": "string", "enum": ["allow", "deny"]},
            "risk_level": {"type": "string", "enum": ["low", "medium", "high", "critical"]},
            "user_authorization": {
                "type": "string",
                "enum": ["unknown", "low", "medium", "high"],
            },
            "rationale": {"type": "string"},
        },
    }
)


class Reviewer:
    """Judges the requests of one turn.

    Args:
        model: answers.
        name: the model's name.
        thread_id: groups its requests apart from those of the thread.
        timeout_s: for one answer, from the question on.
    """

    def __init__(
        self, model: Model, name: str, thread_id: str, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._model = model
        self._name = name
        self._cache_key = f"{thread_id}-review"
        self._timeout_s = timeout_s
        self._refusals = 0

    async def judge(self, question: CommandQuestion, context: Context) -> Verdict:
        """Return whether the command may run; the third no in a row also ends the turn."""
        usage: list[Usage] = []
        reason = await self._refusal(question, context, usage)
        spent = usage[0] if usage else None
        if reason is None:
            self._refusals = 0
            return Verdict("allow", "", spent)
        self._refusals += 1
        return Verdict("deny", reason, spent, ends_turn=self._refusals >= REFUSALS_IN_A_ROW)

    async def _refusal(
        self, question: CommandQuestion, context: Context, usage: list[Usage]
    ) -> str | None:
        """Return why not; None is a yes."""
        try:
            with anyio.fail_after(self._timeout_s):
                text = await self._answer(evidence(question, context), usage)
        except TimeoutError:
            return f"The reviewer did not answer within {self._timeout_s:g} s."
        except ModelError as failure:
            return f"The reviewer could not be asked. {failure}"
        try:
            review = msgspec.json.decode(text, type=Review)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return "The reviewer's answer could not be read."
        said = review.rationale.strip()[:_RATIONALE_CHARS] or "It gave no reason."
        if review.outcome == "deny":
            return f"{said} (risk: {review.risk_level})"
        if review.user_authorization not in _ENOUGH[review.risk_level]:
            return (
                f"The risk is {review.risk_level} and the user's own words authorize it "
                f"{_measure(review.user_authorization)}. {said}"
            )
        return None

    async def _answer(self, shown: str, usage: list[Usage]) -> str:
        prompt = Prompt(
            model=self._name,
            input=(
                message("developer", [text_part(_rubric())]),
                message("user", [text_part(shown)]),
            ),
            tools=b"[]",
            cache_key=self._cache_key,
            effort="low",
            output_schema=_SCHEMA,
        )
        text = ""
        async with aclosing(self._model.stream(prompt)) as chunks:
            async for chunk in chunks:
                match chunk:
                    case ItemDone(kind="message"):
                        text = chunk.text
                    case Completed(usage=Usage() as spent):
                        usage.append(spent)
        return text


def _measure(authorization: Authorization) -> str:
    return {"unknown": "not at all", "low": "little", "medium": "in part", "high": "fully"}[
        authorization
    ]


def _rubric() -> str:
    import octavo.context

    file = Path(octavo.context.__file__).parent / "prompts" / "reviewer.md"
    return file.read_text(encoding="utf-8")
