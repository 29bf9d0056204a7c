"""Threads whose commands are asked about, and a person who answers as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from octavo.trial.scripted import call, say
from tests.scenarios.playing import Play, playing

Reply = Any
"""A decision, a whole result, or a function from a question's parameters to one of these."""


class Person:
    """Answers question after question; the last answer is given for ever.

    Attributes:
        asked: the parameters of every question, with its method.
    """

    def __init__(self, *replies: Reply) -> None:
        self.asked: list[dict[str, Any]] = []
        self._replies = list(replies)

    async def __call__(self, method: str, params: bytes) -> Any:
        question = {"method": method, **msgspec.json.decode(params)}
        self.asked.append(question)
        if not self._replies:
            raise AssertionError(f"asked {question}")
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Callable):
            reply = reply(question)
        return reply if isinstance(reply, dict) else {"decision": reply}


def run(*commands: str | dict[str, Any]) -> list[Any]:
    """A script that runs these commands one after another, and ends."""
    calls = [{"cmd": one} if isinstance(one, str) else one for one in commands]
    return [*(call("exec_command", login=False, **one) for one in calls), say("Done.")]


@asynccontextmanager
async def asking(
    workspace: Path,
    person: Person,
    *commands: str | dict[str, Any],
    policy: Any = "on-request",
    overrides: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Play]:
    """A thread on whose commands `person` is asked; its turn is still to be run."""
    answering = {"alone": False, "answer": person, "overrides": overrides}
    async with playing(run(*commands), workspace, start=False, **answering, **more) as play:
        await play.start(approval_policy=policy)
        yield play


async def outputs(
    workspace: Path, person: Person, *commands: str | dict[str, Any], **more: Any
) -> list[str]:
    """Run one turn and return what the model was told of each command."""
    async with asking(workspace, person, *commands, **more) as play:
        await play.turn("go")
        found: list[str] = play.outputs()
        return found
