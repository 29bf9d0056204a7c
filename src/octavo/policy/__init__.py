"""What a command would do, and whether it may: a pure function of the words and the rules.

`commands.read` takes a script apart, `destructive.judge` says what in it cannot be undone, `rules`
holds what a person wrote down, and `decide.decide` makes one answer of them. Nothing here runs,
opens or asks anything; only `rules.load` reads files, those it is given. The cage is the wall:
this decides when a person is asked, and never lets a command out.

What cannot be read is never taken for harmless.
"""

from __future__ import annotations

import os
from typing import Literal

import msgspec

Shell = Literal["bash", "zsh", "sh"]
"""Whose language a script is in; "sh" is the plain one, as dash speaks it."""


class Word(msgspec.Struct, frozen=True):
    """One word of a command.

    Attributes:
        text: what the program gets when `kind` is "literal"; else the nearest to it.
        kind: "glob" is a pattern for files, "home" starts with `~/`, "unknown" is known only when
            it runs.
        one: False when it may become no word at all, or many.
    """

    text: str
    kind: Literal["literal", "glob", "home", "unknown"] = "literal"
    one: bool = True

    @property
    def literal(self) -> bool:
        """Whether the program gets exactly `text`."""
        return self.kind == "literal"

    @property
    def may_be_option(self) -> bool:
        """Whether it may start with a dash without showing it."""
        return self.kind == "unknown" or (self.kind == "glob" and self.text[:1] in "*?[")


UNKNOWN = Word("…", "unknown", one=False)
"""Whatever is added to a command when it runs."""


class Redirect(msgspec.Struct, frozen=True):
    """Where a command's input or output goes. `op` is as written; a here-document's is "<<"."""

    op: str
    target: Word

    @property
    def writes(self) -> bool:
        """Whether it can change a file."""
        duplicates = self.op == ">&" and self.target.text.rstrip("-").isdigit()
        return ">" in self.op and not duplicates and self.target.text != "/dev/null"


class Command(msgspec.Struct, frozen=True):
    """One program with its words.

    Attributes:
        argv: the program first; never empty.
        env: assignments in front of it.
        redirects: in the order written.
        inside: the compounds around it, outermost first: "loop", "branch", "subshell", "pipe".
        via: the wrappers around it, outermost first, such as ("sudo", "xargs"). The wrapper itself
            is a command of its own.
        elsewhere: whether it runs in another folder than the script, or on another machine.
    """

    argv: tuple[Word, ...]
    env: tuple[tuple[str, Word], ...] = ()
    redirects: tuple[Redirect, ...] = ()
    inside: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    elsewhere: bool = False

    @property
    def program(self) -> str:
        """The program's name without its folder, in lower case, as some file systems see it."""
        return os.path.basename(self.argv[0].text).lower()

    @property
    def plain(self) -> bool:
        """Whether it does what its words say: all literal, no environment, nothing written."""
        return (
            all(word.literal for word in self.argv)
            and not self.env
            and not any(redirect.writes for redirect in self.redirects)
        )

    def __str__(self) -> str:
        return " ".join(word.text for word in self.argv)


class Reading(msgspec.Struct, frozen=True):
    """What a script was found to run.

    Attributes:
        commands: in the order written, those in substitutions before the command that uses them.
            When the reading is not certain, there may be others.
        unreadable: why the rest could not be read; empty when there is no rest.
    """

    commands: tuple[Command, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether every program that the script would run is among `commands`."""
        return not self.unreadable
