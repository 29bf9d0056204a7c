"""Questions as server requests, and their answers read back.

Shapes: the app-server's v2 (Codex 0.169), section "server requests". What cannot be read as an
answer is a decline: nothing is allowed by mistake.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from octavo.protocol.events import QuestionAsked
from octavo.protocol.questions import (
    Answer,
    CommandQuestion,
    FileChangeQuestion,
    InputQuestion,
    Question,
)

APPROVE_COMMAND = "item/commandExecution/requestApproval"
APPROVE_FILE_CHANGE = "item/fileChange/requestApproval"
REQUEST_USER_INPUT = "item/tool/requestUserInput"

DECISIONS = ("accept", "acceptForSession", "decline", "cancel")


class _Decision(msgspec.Struct):
    decision: Any


class _Answers(msgspec.Struct):
    answers: tuple[str, ...]


class _Inputs(msgspec.Struct):
    answers: dict[str, _Answers]


def question_request(thread_id: str, asked: QuestionAsked) -> tuple[str, dict[str, Any]]:
    """Return the method and parameters that ask a client."""
    params: dict[str, Any] = {
        "threadId": thread_id,
        "turnId": asked.turn_id,
        "itemId": asked.call_id,
        "startedAtMs": asked.at_ms,
    }
    question = asked.question
    match question:
        case CommandQuestion():
            params |= {
                "kind": "command",
                "approvalId": None,
                "environmentId": None,
                "command": question.command,
                "cwd": question.cwd,
                "reason": question.reason,
                "commandActions": [],
                "availableDecisions": ["accept", "decline", "cancel"],
            }
            return APPROVE_COMMAND, params
        case FileChangeQuestion():
            reason = question.reason or "Change " + ", ".join(question.paths)
            params |= {"reason": reason, "grantRoot": None, "octavoPaths": question.paths}
            return APPROVE_FILE_CHANGE, params
        case InputQuestion():
            del params["startedAtMs"]
            asks = [
                {
                    "id": ask.id,
                    "header": ask.header,
                    "question": ask.question,
                    "isOther": True,
                    "isSecret": False,
                    "options": ask.options,
                }
                for ask in question.asks
            ]
            params |= {"questions": asks, "isBlocking": True, "autoResolutionMs": None}
            return REQUEST_USER_INPUT, params
        case _:
            assert_never(question)


def read_answer(question: Question, result: bytes) -> Answer:
    """Return what a client answered."""
    try:
        if isinstance(question, InputQuestion):
            inputs = msgspec.json.decode(result, type=_Inputs).answers
            return Answer("accept", {key: value.answers for key, value in inputs.items()})
        decision = msgspec.json.decode(result, type=_Decision).decision
    except msgspec.DecodeError:
        return Answer("decline")
    return Answer(decision if decision in DECISIONS else "decline")
