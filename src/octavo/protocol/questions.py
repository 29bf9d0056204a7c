"""What only a person can decide, and their answers.

A question is asked by an event and answered by an op from any face; it is data, the waiting is
elsewhere. On the wire each question is a server request whose shape is the app-server's; see
`asking`. What could be remembered of a yes is part of the question: nothing else ever is.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Question(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", omit_defaults=True):
    pass


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    pass


class Program(_Part, frozen=True):
    """A program that a command names, and the file that would run: its real path."""

    name: str
    path: str | None = None
    """None: there is no such file, or it is one of the shell's own."""


class Offer(_Part, frozen=True):
    """One way to remember a yes, beyond this once.

    Attributes:
        id: stands for it in an answer.
        scope: where it holds: this thread, this project, everywhere.
        covers: "exact" is the same command in the same folder with the same programs; "prefix"
            every command that begins with `words`; "host" connections to this host.
        allows: commands it would spare a question; tried out.
        refuses: commands that would be asked about all the same; tried out.
    """

    id: str
    scope: Literal["thread", "project", "always"]
    covers: Literal["exact", "prefix", "host"]
    words: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


class Grant(_Part, frozen=True):
    """What a command would get for one call besides what the thread's policy gives it.

    Paths are real ones, with no link on the way. `network` is all of it, `hosts` are patterns.
    """

    write: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    network: bool = False


class CommandQuestion(_Question, frozen=True, tag="command"):
    """May this exact command run?

    Attributes:
        command: what the shell gets, byte for byte.
        reason: why the model wants it, in its words.
        outside: outside the cage. Otherwise it runs in it, with what `grant` says besides.
        why: why octavo asks, in sentences.
        rules: what asks, as file and line.
        programs: what would run.
        paths: what would be written or deleted as far as it can be read, links followed.
        offers: what could be remembered.
        key: stands for exactly this: command, folder, shell, programs as they are now, and grant.
    """

    command: str
    cwd: str
    reason: str | None = None
    outside: bool = False
    why: str | None = None
    rules: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    paths: tuple[str, ...] = ()
    grant: Grant | None = None
    offers: tuple[Offer, ...] = ()
    key: str | None = None


class FileChangeQuestion(_Question, frozen=True, tag="fileChange"):
    """May these files outside the writable roots be changed? Paths are real ones."""

    paths: tuple[str, ...]
    reason: str | None = None
    offers: tuple[Offer, ...] = ()


class NetworkQuestion(_Question, frozen=True, tag="network"):
    """May commands reach this host? Asked after a command was kept from it.

    Attributes:
        protocol: what it was asked for with.
        port: 0 for a name that was only looked up.
        command: what wanted to reach it.
    """

    host: str
    protocol: Literal["http", "https", "socks5", "dns"]
    port: int
    command: str
    cwd: str
    why: str
    offers: tuple[Offer, ...] = ()


class Option(_Part, frozen=True):
    """One answer a person can pick."""

    label: str
    description: str = ""


class Ask(_Part, frozen=True):
    """One of the questions of a form."""

    id: str
    header: str
    question: str
    options: tuple[Option, ...] = ()


class InputQuestion(_Question, frozen=True, tag="input"):
    """What does the user want? One to three questions with options; other text is allowed."""

    asks: tuple[Ask, ...]


class ToolQuestion(_Question, frozen=True, tag="tool"):
    """May this tool of an MCP server be called?

    Attributes:
        arguments: what it would be called with, as JSON.
        why: why octavo asks, in sentences.
        said: what the server says of the tool.
        key: stands for the tool as the server describes it now; where a yes for the thread is one
            to several of the server's tools, for all of these, and begins with "sight:".
    """

    server: str
    tool: str
    arguments: str
    why: str
    said: str = ""
    key: str = ""
    offers: tuple[Offer, ...] = ()


class ElicitationQuestion(_Question, frozen=True, tag="elicitation"):
    """An MCP server wants to know something, or to have a page visited. It is the server that asks.

    Attributes:
        schema: of the form, encoded; None where it is a page.
    """

    server: str
    message: str
    schema: str | None = None
    url: str | None = None


Question = (
    CommandQuestion
    | FileChangeQuestion
    | NetworkQuestion
    | InputQuestion
    | ToolQuestion
    | ElicitationQuestion
)


class Answer(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A person's answer, or what stands for it when nobody may be asked.

    Attributes:
        decision: "cancel" also interrupts the turn. An input question is "accept" with `answers`.
            "acceptForSession" is a yes that this thread remembers.
        answers: for an input question, the texts chosen or written, by the question's id.
        content: for an elicitation, what was filled in, as JSON.
        by: "policy" when nobody was asked, "reviewer" when a model judged in a person's place.
        remember: the `Offer.id` of what is to be remembered; None for this once.
        reason: why not, where whoever answered says so.
    """

    decision: Literal["accept", "acceptForSession", "decline", "cancel"]
    answers: dict[str, tuple[str, ...]] = {}
    content: str | None = None
    by: Literal["person", "policy", "reviewer"] = "person"
    remember: str | None = None
    reason: str | None = None

    @property
    def yes(self) -> bool:
        """Whether it was accepted, this once or for longer."""
        return self.decision in ("accept", "acceptForSession")
