"""Arguments: the parser every command gets, and the options that several share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.config.load import Loaded

_NO_FLAGS: Mapping[str, object] = {}


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that reports mistakes as octavo does and takes no abbreviations."""

    def __init__(self, **options: object) -> None:
        options["allow_abbrev"] = False
        options["formatter_class"] = _Formatter
        super().__init__(**options)  # type: ignore[arg-type]  # passed on as argparse gave them

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


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which settings hold; `load_settings` reads them."""
    group = parser.add_argument_group("settings")
    group.add_argument(
        "-c",
        "--config",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="set one value, as in config.toml; may be repeated",
    )
    group.add_argument(
        "-p", "--profile", metavar="NAME", help="lay $OCTAVO_HOME/NAME.config.toml over config.toml"
    )
    group.add_argument("-C", "--cd", metavar="DIR", help="work in DIR instead of here")
    group.add_argument(
        "--strict-config", action="store_true", help="refuse settings that octavo does not know"
    )


def load_settings(args: argparse.Namespace, flags: Mapping[str, object] = _NO_FLAGS) -> Loaded:
    """Load the settings that `args` ask for.

    Raises:
        UsageError: the directory is not there.
        ConfigError: see `octavo.config.load.load`.
    """
    from octavo.config.load import load

    return load(
        cwd=working_directory(args.cd),
        env=os.environ,
        profile=args.profile,
        overrides=args.config,
        flags=flags,
        strict=args.strict_config,
    )


def working_directory(chosen: str | None) -> Path:
    """Return the absolute directory a command works in.

    Raises:
        UsageError: it is not there.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        if chosen is None or not os.path.isabs(chosen):
            raise UsageError(
                "The working directory is gone.", hint="Change to one that exists."
            ) from None
        here = Path("/")
    directory = here if chosen is None else Path(os.path.abspath(here / chosen))
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory.")
    return directory
