"""A script into the commands it would run, wrappers seen through.

    read("cd x && sudo rm -rf $D")  →  cd x · sudo rm -rf $D · rm -rf $D (via sudo)

The script is read twice, by `shell` and by `grammar`; scripts inside it (`bash -c`, `ssh`, a
here-document for a shell) are read in their turn. What stays unknown is named in
`Reading.unreadable`: a program whose name a variable holds, `eval`, a function, a form one of the
two readers does not know. Which files a program opens, and what an interpreter of another language
runs, is not read: those are the cage's.
"""

from __future__ import annotations

import re

import msgspec

from octavo.policy import Command, Reading, Redirect, Shell, Word
from octavo.policy.builtins import why_unreadable
from octavo.policy.shell import Parser, Unreadable
from octavo.policy.wrappers import Script, inner

SCRIPT_LIMIT_CHARS = 100_000
SURROGATE = re.compile("[\ud800-\udfff]")
COMMAND_LIMIT = 2_000
NESTING_LIMIT = 12
"""How many wrappers or scripts in scripts are seen through."""


_BARE = r"[A-Za-z0-9_./:@%+,-]"
_QUOTED = r"'[ -&(-~]*'"
_PLAIN = re.compile(
    rf"[ \t]*{_BARE}+"  # the program: bare, so no assignment and no quotes that hide a keyword
    rf"(?:[ \t]+(?:{_BARE}|{_QUOTED})(?:{_BARE}|=|{_QUOTED})*)*"
    r"[ \t]*"
)
_BETWEEN = re.compile(r"&&|\|\||;|\|")
_KEYWORDS = frozenset(
    """
    case coproc do done elif else esac fi for function if in select then time until while
    foreach end nocorrect noglob repeat and or not begin switch
    """.split()
)
"""Words that mean something else than a program in one of the shells."""


def is_plain(script: str) -> bool:
    """Return whether a script is nothing but programs with literal words, one after another.

    There is one way to read it, in every shell, so it needs no second opinion. A quote that holds
    what stands between commands makes it not plain.
    """
    parts = _BETWEEN.split(script)
    return all(
        _PLAIN.fullmatch(part) is not None and part.split()[0] not in _KEYWORDS for part in parts
    )


def read(script: str, *, shell: Shell = "bash") -> Reading:
    """Read a script in the language of `shell`. Never raises, whatever the script."""
    reader = _Reader()
    reader.script(script, shell)
    return reader.reading()


def read_argv(argv: list[str]) -> Reading:
    """Read one command that no shell is asked to run; wrappers are seen through."""
    reader = _Reader()
    if argv:
        reader.see(Command(tuple(map(Word, argv))))
    return reader.reading()


class _Reader:
    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._unreadable: list[str] = []
        self._odd_value = False

    def reading(self) -> Reading:
        return Reading(tuple(self._commands), tuple(dict.fromkeys(self._unreadable)))

    def script(self, text: str, shell: Shell, around: Command | None = None) -> None:
        """Read a script; `around` is the command that runs it."""
        if len(text) > SCRIPT_LIMIT_CHARS:
            self._unreadable.append("it is too long to read")
            return
        if "\0" in text or SURROGATE.search(text):
            self._unreadable.append("it is not text")
            return
        parser = Parser(text, shell)
        parser.odd_value = self._odd_value
        try:
            parser.parse()
        except Unreadable as reason:
            self._unreadable.append(str(reason))
        except RecursionError:
            self._unreadable.append("it is nested too deeply")
        else:
            self._second_opinion(text, parser)
        self._odd_value = self._odd_value or parser.odd_value
        for command in parser.commands:
            self.see(_within(_with_bodies(command, parser.bodies), around))

    def _second_opinion(self, text: str, parser: Parser) -> None:
        if is_plain(text):
            return
        from octavo.policy.grammar import agrees

        if not agrees(text, parser.spans):
            self._unreadable.append("it can be read in more than one way")

    def see(self, command: Command) -> None:
        """Note a command, and what it runs in its turn."""
        if len(self._commands) >= COMMAND_LIMIT:
            self._unreadable.append("it has too many commands")
            return
        self._commands.append(command)
        if len(command.via) >= NESTING_LIMIT:
            self._unreadable.append("it is nested too deeply")
            return
        if reason := why_unreadable(command):
            self._unreadable.append(reason)
        try:
            for found in inner(command):
                if isinstance(found, Script):
                    away = found.elsewhere or command.elsewhere
                    around = msgspec.structs.replace(command, elsewhere=away)
                    self.script(found.text, found.shell, around)
                else:
                    self.see(_within(found, command))
        except Unreadable as reason:
            self._unreadable.append(str(reason))


def _within(command: Command, around: Command | None) -> Command:
    """Return a command as part of the one that runs it."""
    if around is None:
        return command
    return msgspec.structs.replace(
        command,
        inside=(*around.inside, *command.inside),
        via=(*around.via, around.program),
        elsewhere=around.elsewhere or command.elsewhere,
    )


def _with_bodies(command: Command, bodies: dict[int, str | None]) -> Command:
    """Return a command with the text of its here-documents instead of their numbers."""
    if all(redirect.op != "<<" for redirect in command.redirects):
        return command
    return msgspec.structs.replace(
        command,
        redirects=tuple(_with_body(redirect, bodies) for redirect in command.redirects),
    )


def _with_body(redirect: Redirect, bodies: dict[int, str | None]) -> Redirect:
    if redirect.op != "<<":
        return redirect
    body = bodies[int(redirect.target.text)]
    return Redirect("<<", Word("…", "unknown") if body is None else Word(body))
