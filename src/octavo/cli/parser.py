"""The parser every command gets."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn

from octavo.cli.shared import HIDDEN
from octavo.protocol.errors import UsageError


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that reports mistakes as octavo does and takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        options["allow_abbrev"] = False
        options["formatter_class"] = _Formatter
        super().__init__(**options)  # type: ignore[arg-type]  # passed on as argparse gave them

    def add_argument(self, *names: Any, **declared: Any) -> argparse.Action:
        """Declare an argument."""
        if declared.get("help") == HIDDEN:
            declared["help"] = argparse.SUPPRESS
        return super().add_argument(*names, **declared)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        said = message[:1].upper() + message[1:]
        raise UsageError(f"{said}.", hint=f"See `{self.prog} --help`.")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of descriptions, and names an option's value once, not per spelling."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36, width=min(100, _columns()))

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def _columns() -> int:
    try:
        return int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 100
