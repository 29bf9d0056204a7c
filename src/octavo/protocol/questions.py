"""What only a person can decide, and their answers.

A question is asked by an event and answered by an op from any face; it is data, the waiting is
elsewhere. On the wire each question is a server request whose shape is the app-server's; see
`project`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Question(msgspec.Struct, frozen=True, rename="camel", tag_field="kind"):
    pass


class CommandQuestion(_Question, frozen=True, tag="command"):
    """May this exact command run outside the cage?"""

    command: str
    cwd: str
    reason: str | None = None


class FileChangeQuestion(_Question, frozen=True, tag="fileChange"):
    """May these files outside the writable roots be changed?"""

    paths: tuple[str, ...]
    reason: str | None = None


class Option(msgspec.Struct, frozen=True, rename="camel"):
    """One answer a person can pick."""

    label: str
    description: str = ""


class Ask(msgspec.Struct, frozen=True, rename="camel"):
    """One of the questions of a form."""

    id: str
    header: str
    question: str
    options: tuple[Option, ...] = ()


class InputQuestion(_Question, frozen=True, tag="input"):
    """What does the user want? One to three questions with options; other text is allowed."""

    asks: tuple[Ask, ...]


Question = CommandQuestion | FileChangeQuestion | InputQuestion


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """A person's answer, or the deny that stands for it when nobody may be asked.

    Attributes:
        decision: "cancel" also interrupts the turn. An input question is "accept" with `answers`.
        answers: for an input question, the texts chosen or written, by the question's id.
        by: "person", or "policy" when nobody was asked.
    """

    decision: Literal["accept", "acceptForSession", "decline", "cancel"]
    answers: dict[str, tuple[str, ...]] = {}
    by: Literal["person", "policy"] = "person"
