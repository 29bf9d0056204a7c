"""The parser every command gets."""

from __future__ import annotations

import argparse
import os
import re
import textwrap
from typing import Any, NoReturn

from octavo.cli.shared import HIDDEN
from octavo.protocol.errors import UsageError

_MISSING = "the following arguments are required: "
_UNKNOWN = "unrecognized arguments: "
"""How argparse begins two of its messages."""
_CHOICE = re.compile(r"invalid choice: '([^']*)'")
"""What is in a third one."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that reports mistakes as octavo does and takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        options["allow_abbrev"] = False
        options["formatter_class"] = _Formatter
        super().__init__(**options)  # type: ignore[arg-type]  # passed on as argparse gave them
        self.register("action", "parsers", _Actions)

    def add_argument(self, *names: Any, **declared: Any) -> argparse.Action:
        """Declare an argument."""
        if declared.get("help") == HIDDEN:
            declared["help"] = argparse.SUPPRESS
        return super().add_argument(*names, **declared)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        advice = f"See `{self.prog} --help`."
        if message.startswith(_MISSING):
            raise UsageError(f"Missing: {message.removeprefix(_MISSING)}.", hint=advice)
        if message.startswith(_UNKNOWN):
            words = message.removeprefix(_UNKNOWN)
            near = _nearest(words.split(" ")[0].split("=")[0], self)
            raise UsageError(
                f"Unrecognized arguments: {words}.",
                hint=f"Did you mean {near}?" if near else advice,
            )
        word = _CHOICE.search(message)
        if word is not None and message.startswith(f"argument {_title_of_actions(self)}:"):
            raise UsageError(f"There is no `{self.prog} {word[1]}`.", hint=_meant(word[1], self))
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=advice)


class _Actions(argparse._SubParsersAction):  # type: ignore[type-arg]  # generic for the checker only
    """The actions of a command; the help of each begins with what its parent's says of it."""

    def add_parser(self, name: str, **options: Any) -> Any:
        """Declare an action."""
        purpose = options.get("help")
        if purpose:
            options.setdefault("description", f"{purpose[:1].upper()}{purpose[1:]}.")
        return super().add_parser(name, **options)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Fills paragraphs to the width there is, and names an option's value once, not per spelling.

    Lines that begin with a space stay as they are.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36, width=min(100, _columns()))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if isinstance(action, _Actions):
            return ""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, _Actions):
            return super()._format_action(action)
        return "".join(map(self._format_action, action._get_subactions()))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        for line in text.splitlines():
            if line and lines and lines[-1] and not (line[0] == " " or lines[-1][0] == " "):
                lines[-1] += f" {line}"
            else:
                lines.append(line)
        filled = (
            line if line[:1] in ("", " ") else textwrap.fill(line, width, break_on_hyphens=False)
            for line in lines
        )
        return "\n".join(filled)


def _columns() -> int:
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 100


def _title_of_actions(parser: argparse.ArgumentParser) -> str | None:
    """Return how argparse calls the choice of an action in its messages."""
    for action in parser._actions:
        if isinstance(action, _Actions):
            return str(action.metavar or action.dest)
    return None


def _meant(word: str, parser: argparse.ArgumentParser) -> str:
    """Return which action of `parser` may be meant by `word`, or all there are."""
    import difflib

    names = [
        name for each in parser._actions if isinstance(each, _Actions) for name in each.choices
    ]
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"Did you mean `{parser.prog} {near[0]}`?"
    return f"There are: {', '.join(names)}."


def _nearest(word: str, parser: argparse.ArgumentParser) -> str | None:
    """Return the option of `parser`, or of an action of it, that `word` may be meant for."""
    import difflib

    options = {
        name
        for each in (parser, *_actions_of(parser))
        for name in each._option_string_actions
        if name.startswith("--")
    }
    near = difflib.get_close_matches(word, sorted(options), n=1)
    return near[0] if near else None


def _actions_of(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found: list[argparse.ArgumentParser] = []
    for action in parser._actions:
        if isinstance(action, _Actions):
            found.extend(action.choices.values())
    return found
