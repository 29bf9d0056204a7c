"""What a script names: the programs it would start and the files it would write or delete.

For people to look at, never to decide by: a script can do more than its words say, and the cage is
what holds. Nothing here looks at the disk; paths are made absolute by the folder a command is in,
as far as that can be followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from octavo.policy import Command, Reading, Word

_DELETING = frozenset(("rm", "grm", "rmdir", "unlink", "shred", "rimraf", "trash"))
_CHANGING = frozenset(("chmod", "chown", "chgrp", "mkdir", "tee", "touch", "truncate", "mv", "gmv"))
_ONTO_LAST = frozenset(("cp", "gcp", "install", "ln"))
_MODES = r"[0-7]{3,4}|[ugoa]*[-+=][rwxXst]+|[\w.-]*:[\w.-]*"
"""What stands before the files of chmod and chown."""

BUILTINS = frozenset(
    """
    . : [ alias bg bind break builtin cd command continue declare dirs disown echo enable eval exec
    exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf
    pushd pwd read readarray readonly return set shift shopt source suspend test times trap true
    type typeset ulimit umask unalias unset wait
    """.split()
)
"""Names that a shell takes for its own, whatever files there are."""


def placed(reading: Reading, cwd: str) -> Iterator[tuple[Command, str | None]]:
    """Yield each command with the folder it would run in; None when nobody can tell."""
    where: str | None = cwd
    for command in reading.commands:
        yield command, None if command.elsewhere else where
        if command.program in ("cd", "pushd", "popd", "chdir"):
            places = command.argv[1:]
            known = len(places) == 1 and places[0].literal and places[0].text not in ("-", "")
            where = os.path.join(where, places[0].text) if known and where is not None else None


def named_programs(reading: Reading, cwd: str) -> list[tuple[str, str | None]]:
    """Return each program's name as written, once, with the folder a relative one is in."""
    found: dict[tuple[str, str | None], None] = {}
    for command, where in placed(reading, cwd):
        name = command.argv[0]
        if name.literal and name.text and name.text not in BUILTINS:
            found[name.text, where if "/" in name.text else cwd] = None
    return list(found)


def written_paths(reading: Reading, cwd: str) -> list[str]:
    """Return the absolute paths that the words say are written or deleted, each once."""
    found: dict[str, None] = {}
    for command, where in placed(reading, cwd):
        for word in _targets(command):
            if word.kind in ("unknown", "home") or not word.text:
                continue
            if os.path.isabs(word.text) or where is not None:
                found[os.path.join(where or "/", word.text)] = None
    return list(found)


def _targets(command: Command) -> Iterator[Word]:
    for redirect in command.redirects:
        if redirect.writes:
            yield redirect.target
    words = [word for word in command.argv[1:] if not word.text.startswith("-")]
    program = command.program
    if program in _DELETING or program in _CHANGING:
        yield from (word for word in words if not re.fullmatch(_MODES, word.text))
    elif program in _ONTO_LAST:
        yield from words[-1:]
    elif program == "dd":
        yield from (Word(word.text[3:], word.kind) for word in words if word.text[:3] == "of=")
    elif program == "find":
        yield from words[:1]
