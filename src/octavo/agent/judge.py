"""Who may answer a question in a person's place: the seam of `--approve-for-me`.

A judge is asked about what runs in the cage as it is, and about nothing that would widen it. It
fails closed: whatever goes wrong in it is a refusal. To end the turn, it raises an `OctavoError`.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from octavo.protocol.fold import Thread
from octavo.protocol.questions import CommandQuestion
from octavo.protocol.usage import Usage
from octavo.sandbox import Policy


class Context(msgspec.Struct, frozen=True):
    """What a judge may look at besides the question."""

    turn_id: str
    call_id: str
    thread: Thread
    """The thread so far, what the user said included."""
    policy: Policy
    """Of the cage that the command would run in."""


class Verdict(msgspec.Struct, frozen=True):
    """`reason` is for the model when the outcome is "deny", and for the log."""

    outcome: Literal["allow", "deny"]
    reason: str
    usage: Usage | None = None
    """What it cost to ask, where no model of the thread was asked, which counts by itself."""


class Judge(Protocol):
    """Answers questions about single commands."""

    async def judge(self, question: CommandQuestion, context: Context) -> Verdict:
        """Return whether the command may run.

        Raises:
            OctavoError: the turn is to end with this as its error.
        """
