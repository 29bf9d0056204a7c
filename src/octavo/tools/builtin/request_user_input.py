"""Ask the user what they want, when that cannot be found out."""

from __future__ import annotations

import msgspec

from octavo.protocol.questions import Ask, InputQuestion, Option
from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.schema import many, obj, text

_HEADER_CHARS = 12
_MOST_QUESTIONS = 3


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer to pick."""

    label: str
    description: str


class UserQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question."""

    id: str
    header: str
    question: str
    options: tuple[Choice, ...]


class RequestUserInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameters are Codex's, which models know."""

    questions: tuple[UserQuestion, ...]


_OPTION = obj(
    {
        "label": text("The answer, in one to five words."),
        "description": text("What it would mean, in a sentence."),
    },
    required=("label", "description"),
)
_QUESTION = obj(
    {
        "id": text("Name for the answer, such as db_choice."),
        "header": text("Heading, at most 12 characters."),
        "question": text("The question, in a sentence."),
        "options": many(
            _OPTION,
            "Two or three answers that exclude each other, the one you would take first. The user "
            "may also write something else.",
        ),
    },
    required=("id", "header", "question", "options"),
)
SCHEMA = obj({"questions": many(_QUESTION, "One to three questions.")}, required=("questions",))


async def request_user_input(args: RequestUserInput, hands: Hands) -> Outcome:
    """Ask, wait, and return the answers as JSON."""
    _check(args)
    if hands.alone:
        raise ToolFailed(_nobody())
    question = InputQuestion(
        tuple(
            Ask(
                asked.id,
                asked.header,
                asked.question,
                tuple(Option(choice.label, choice.description) for choice in asked.options),
            )
            for asked in args.questions
        )
    )
    answer = await hands.ask(question)
    if answer.decision in ("accept", "acceptForSession"):
        answers = {name: {"answers": list(given)} for name, given in answer.answers.items()}
        return Outcome(content=msgspec.json.encode({"answers": answers}).decode())
    if answer.by == "policy":
        raise ToolFailed(_nobody())
    raise ToolFailed(
        "The user did not answer. Decide yourself, and say in your answer what you assumed."
    )


def _nobody() -> str:
    return (
        "Nobody is there to answer. Decide yourself what fits the task best, go on, and say in "
        "your answer what you assumed."
    )


def _check(args: RequestUserInput) -> None:
    if not 1 <= len(args.questions) <= _MOST_QUESTIONS:
        raise ToolFailed(
            f"One to {_MOST_QUESTIONS} questions can be asked at once, not {len(args.questions)}."
        )
    if len({asked.id for asked in args.questions}) < len(args.questions):
        raise ToolFailed("Two questions have the same id. Give each its own.")
    for asked in args.questions:
        if not asked.id.strip() or not asked.question.strip():
            raise ToolFailed("A question needs an id and a text.")
        if len(asked.header) > _HEADER_CHARS:
            raise ToolFailed(
                f"The header {asked.header!r} is longer than {_HEADER_CHARS} characters."
            )


TOOL = Tool(
    name="request_user_input",
    description=(
        "Ask the user up to three short questions and wait for the answers. Only for decisions "
        "that are theirs and that neither the task nor the files answer."
    ),
    params=RequestUserInput,
    run=request_user_input,
    effect=Effect.NONE,
    schema=SCHEMA,
    alone=True,
)
