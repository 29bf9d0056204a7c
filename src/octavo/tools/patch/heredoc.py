"""Finds a patch in a shell command.

Only a command that is nothing but one `apply_patch` heredoc counts, with a `cd` before it at most;
one that does anything else is left to the shell.
"""

from __future__ import annotations

import re

_COMMAND = re.compile(
    r"""\s*
    (?:cd[ \t]+(?:--[ \t]+)?
        (?:'(?P<single>[^'\n]+)'|"(?P<double>[^"$`\\!\n]+)"|(?P<bare>[\w./+@%:,=-]+))
        [ \t]*&&\s*)?
    apply_?patch[ \t]*<<[ \t]*(?P<quote>['"]?)(?P<word>\w+)(?P=quote)[ \t]*\r?\n
    """,
    re.VERBOSE,
)


def extract_heredoc(command: str) -> tuple[str, str | None] | None:
    """Return the patch and the directory of a leading `cd`; None for any other command."""
    match = _COMMAND.match(command)
    if match is None:
        return None
    lines = command[match.end() :].split("\n")
    ends = (n for n, line in enumerate(lines) if line.removesuffix("\r") == match["word"])
    end = next(ends, None)
    if end is None or any(line.strip() for line in lines[end + 1 :]):
        return None
    directory = match["single"] or match["double"] or match["bare"]
    if match["bare"] and match["bare"].startswith("-"):
        return None
    return "".join(line + "\n" for line in lines[:end]), directory
