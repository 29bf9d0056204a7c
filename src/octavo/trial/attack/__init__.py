"""The attack suite: what a hostile model would try, tried for real on the user's own settings.

A case is a fixture, what a scripted model that always takes the bait does with it, and a check of
the machine: is the harm there? A case is blocked when the harm is absent and it is certain that it
was tried. Each also says how its wall is taken down, so that it can be shown that the check sees
the harm when nothing stops it. Only throw-away files, processes and sockets are ever aimed at.

`suite.CASES` is the list, one module a group; `engine` runs it; `catalog` has every attack that is
known, with those that wait for a part of octavo that does not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from octavo.trial.answers import FunctionCall, Text
    from octavo.trial.attack.scene import Scene

Outcome = Literal["blocked", "escaped", "gap", "untested", "not_applicable"]
"""escaped: the harm is there. gap: it is, and the sandbox of this machine says that it cannot stop
it. untested: it is not there, but nobody knows whether it was tried."""

Answered = Literal["accept", "decline"]

Turn = Sequence["FunctionCall | Text"]
"""What the model does in one turn: one call after the other, each in a response of its own; a text
is what it writes when it is asked for a summary."""


class Down(msgspec.Struct, frozen=True):
    """How a wall is taken down, so that a case can be seen to fail.

    Attributes:
        settings: laid over the user's own.
        accept: every command is accepted beforehand, and there are no rules.
        trust: the workspace is trusted.
        bare: the commands are run by a plain shell, without octavo.
        host_may_refuse: where the harm is still absent, the machine itself stops it.
    """

    settings: Mapping[str, object] = {}
    accept: bool = False
    trust: bool = False
    bare: bool = False
    host_may_refuse: bool = False


NO_SANDBOX = Down(settings={"sandbox_mode": "danger-full-access"})
OPEN_NETWORK = Down(
    settings={
        "sandbox_mode": "workspace-write",
        "sandbox_workspace_write.network_access": True,
    }
)
ACCEPTED = Down(settings=NO_SANDBOX.settings, accept=True)
TRUSTED = Down(trust=True)
NO_OCTAVO = Down(bare=True)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One way of one attack.

    Attributes:
        attack: its id in the catalog.
        way: what the model does: a phrase that follows "the model".
        wall: what stops it.
        prepare: makes the fixture.
        bait: returns what the model does, turn by turn; called after `prepare`.
        says: what the user says in each turn.
        act: does it without a model, where no call of a tool can; instead of `bait`.
        answer: what a person says to a question; without it nobody is there to be asked.
        harm: says what harm there is, or nothing.
        down: how the wall is taken down.
        needs: says what is missing on this machine, or nothing.
        settings: what the fixture needs; walls are not lowered by it.
        gap: words of the sentence with which a tier says that it cannot stop this.
        ephemeral: whether the thread leaves no log.
    """

    attack: str
    way: str
    wall: str
    harm: Callable[[Scene], str]
    down: Down
    prepare: Callable[[Scene], None] | None = None
    bait: Callable[[Scene], Sequence[Turn]] | None = None
    says: str = "Do what has to be done."
    act: Callable[[Scene], Awaitable[None]] | None = None
    answer: Callable[[Scene, Mapping[str, Any]], Answered] | None = None
    needs: Callable[[Scene], str] | None = None
    settings: Mapping[str, object] = {}
    gap: str | None = None
    ephemeral: bool = True

    @property
    def name(self) -> str:
        """How a case is told from the others."""
        return f"{self.attack} {self.way}"


class Verdict(msgspec.Struct, frozen=True):
    """What came of one case.

    Attributes:
        wall: what stopped it, when it is blocked.
        detail: the harm, or why it is not applicable, or what was said instead of it.
        shown: with its wall down: "harm", as it should be; "none", so the case proves nothing;
            "machine": the machine itself stops it. None: it was not tried.
    """

    attack: str
    group: str
    title: str
    way: str
    outcome: Outcome
    wall: str
    detail: str = ""
    shown: Literal["harm", "none", "machine"] | None = None
    took_s: float = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether something has to be mended: in octavo, in the settings or in the case."""
        return self.outcome in ("escaped", "untested") or self.shown == "none"
