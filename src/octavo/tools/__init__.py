"""What the model can do.

A `Tool` is its parameters, a function and a record. The function's only way out is `Hands`: the
outside world as this thread's policy allows it. It returns an `Outcome`, or raises `ToolFailed`
with a text for the model to read; it never raises anything else on purpose.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from octavo.protocol.events import CallFacts, Intent
from octavo.protocol.questions import Answer, Question
from octavo.sandbox import Command, FileChange, FileState, Policy, Process

if TYPE_CHECKING:
    from octavo.policy.gh import GhScript
    from octavo.policy.porcelain import GitScript
    from octavo.tools.sessions import CommandSessions

OUTPUT_FILE_LIMIT_BYTES = 256 << 20
"""How much of one command's output its file keeps."""


class ToolFailed(Exception):
    """The call did not do what it should. The text says what is wrong and what to do instead."""


class Declined(ToolFailed):
    """A person, or what a person settled, said no. The text is for the model."""


class Effect(enum.Enum):
    """The worst a tool can do; decides what has to be asked and what may run side by side."""

    NONE = "none"
    READ = "read"
    EDIT = "edit"
    RUN = "run"


class Outcome(msgspec.Struct, frozen=True):
    """What a call gave. `content` is for the model; `facts` for the log and the faces."""

    content: str | Sequence[Mapping[str, str]]
    """Text, or content parts of the Responses API such as `{"type": "input_image", …}`."""
    ok: bool = True
    facts: CallFacts | None = None
    labels: frozenset[str] = frozenset()
    """Where the content comes from: "untrusted", "private". The toolbox adds what it can tell."""


class Extra(msgspec.Struct, frozen=True):
    """What a command asks for besides what the policy gives it, as the model named it."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    network: bool = False
    """All of it."""


class WantedCommand(msgspec.Struct, frozen=True):
    """A command that is to run, and under which terms.

    Attributes:
        script: what the shell of `command` is given.
        command: exactly what would be started.
        outside: outside the cage, which only a person allows.
        extra: in a cage that is wider for this one call, which only a person allows.
        justification: why, in the model's words.
        prefix_rule: the first words of commands the model proposes to be asked about once only.
    """

    script: str
    command: Command
    outside: bool = False
    extra: Extra | None = None
    justification: str | None = None
    prefix_rule: tuple[str, ...] = ()


class Permit(msgspec.Struct, frozen=True):
    """The leave to start one command, as it is here. Only the hands that gave it take it.

    Attributes:
        command: what may be started.
        policy: of the cage it is started in.
        outside: a person let exactly this command out of the cage; `policy` plays no part.
        blocked_since: how much the network had blocked before it.
    """

    command: Command
    policy: Policy
    outside: bool = False
    blocked_since: int = 0
    git: GitScript | None = None
    """What the command is, when it is nothing but plain git: git may then write `.git`."""
    gh: GhScript | None = None
    """What the command is, when it is nothing but calls of gh."""
    remotes: Sequence[Any] = ()
    """Where git may go: `agent.git_remote.Remote`; what gh is about: `agent.gh_place.GhPlace`."""
    reads_others: bool = False
    """It names something in another repository than the thread's."""


class Hands(Protocol):
    """The outside world for one call, as the thread's policy allows it."""

    call_id: str
    cwd: Path
    env: Mapping[str, str]
    """The environment commands get, keys and tokens already taken out."""
    writable_roots: Sequence[Path]
    """Where files may be changed without asking, for error texts; empty when none may."""
    asks: bool
    """True when somebody may be asked; False when every question is answered with no."""
    alone: bool
    """True when no person is there at all (`octavo exec`)."""
    network: bool
    """True when commands reach the network."""
    sessions: CommandSessions
    """The thread's running commands."""
    output_limit_tokens: int
    """How much output the model is shown when it names no limit itself."""

    @property
    def record(self) -> Record:
        """Everything that was said in this thread, also what the model is not shown any more."""

    async def begin(self, intent: Intent) -> None:
        """Record what the call is about to do. Needed once before `spawn` or `change`."""

    def progress(self, text: str) -> None:
        """Show output while it is being produced; for eyes only.

        Also in a later turn, while the model waits there for a command that this call started.
        """

    async def ask(self, question: Question) -> Answer:
        """Ask a person; answers "decline" at once when nobody may be asked."""

    async def login_env(self) -> Mapping[str, str]:
        """The environment of the user's login shell, captured once; `env` is laid over it."""

    async def permit(self, wanted: WantedCommand) -> Permit:
        """Decide whether and how a command may run; a person is asked where that is needed.

        Raises:
            Declined: it may not. Says why, and what to do.
            ToolFailed: what it asks for makes no sense.
        """

    async def spawn(self, permit: Permit) -> Process:
        """Start exactly what was permitted, where it was permitted."""

    async def blocked(self, permit: Permit, told: set[str]) -> Sequence[str]:
        """Return what to tell the model of hosts that were kept from a command.

        A person who may be asked is asked about them; what they say holds for the next command.

        Args:
            permit: what the command was started with.
            told: the hosts that were told before; those told now are added.
        """

    async def look(self, paths: Sequence[Path]) -> list[FileState]:
        """Read files as the policy shows them."""

    async def change(self, changes: Sequence[FileChange], *, granted: Sequence[Path] = ()) -> None:
        """Change files, all or none; `granted` are further writable paths a person accepted.

        A grant is for exactly these real paths, so it needs no wider cage: a cage's roots are
        directories, and would be wider than what was shown.
        """

    async def keep_output(self) -> OutputFile:
        """Open a file in the thread's folder for the full output of one command."""

    def ended(self, facts: CallFacts) -> None:
        """Report that a command that outlived its call has ended.

        May come in a later turn, outside of any, or as soon as the call returned, before its own
        end is recorded.
        """


class Entry(msgspec.Struct, frozen=True):
    """One item of a thread's record.

    Attributes:
        number: counted from the thread's start; never changes.
        title: who said it or what it is, for the model: "the user", "output of exec_command".
    """

    number: int
    title: str
    text: str


class Record(Protocol):
    """What was said in a thread, from its start. Reading it marks the call as having seen it."""

    def __len__(self) -> int: ...

    def entry(self, number: int) -> Entry | None:
        """Return an item; None when there is nothing to read in it."""

    def saw(self, number: int) -> None:
        """Say that the model is shown this item, so that the call gets its labels."""


class OutputFile(Protocol):
    """A file that keeps a command's whole output, up to `OUTPUT_FILE_LIMIT_BYTES`."""

    path: Path

    def write(self, data: bytes) -> None:
        """Append; what is over the limit is counted and dropped. Raises OSError on a full disk."""

    def close(self) -> None:
        """Close it; an empty one is removed."""


Run = Callable[[Any, Hands], Awaitable[Outcome]]


class Tool(msgspec.Struct, frozen=True):
    """A tool as the model and the toolbox see it."""

    name: str
    description: str
    run: Run
    effect: Effect
    params: type[msgspec.Struct] | None = None
    """Parameters of a function tool; None for a freeform one, whose `run` gets the text, and for
    one that has only a `schema`, whose `run` gets the decoded object."""
    grammar: str | None = None
    """Lark grammar of a freeform tool's input."""
    alone: bool = False
    """True when no other call of the response may run beside it."""
    schema: Mapping[str, Any] | None = None
    """JSON Schema of a function tool's parameters, as it is declared; see `tools.schema`."""
