"""What several commands share: options that say which settings hold, and where to work.

Nothing here imports argparse: `octavo exec` does without it when its arguments are plain; see
`quick`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from octavo.config.load import Loaded

HIDDEN = "hidden"
"""The help of an argument that is accepted and not shown."""

_NO_FLAGS: Mapping[str, object] = {}


def add_settings_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options that say which settings hold, wherever the work is; return their group."""
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
    return group


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which settings hold and where; `load_settings` reads them."""
    group = add_settings_options(parser)
    group.add_argument("-C", "--cd", metavar="DIR", help="work in DIR instead of here")
    group.add_argument(
        "--strict-config", action="store_true", help="refuse settings that octavo does not know"
    )


def add_permissions_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses a permission profile; `permissions_flag` reads it."""
    parser.add_argument(
        "-P",
        "--permissions",
        metavar="NAME",
        help="the permission profile: of [permissions.NAME], or a built-in one",
    )


def permissions_flag(args: argparse.Namespace, mode: str | None) -> Mapping[str, object]:
    """Return the flag that chooses the permission profile.

    Args:
        mode: the option that chooses a mode, if it was given.

    Raises:
        UsageError: both are chosen.
    """
    if args.permissions is None:
        return {}
    if mode is not None:
        raise UsageError(
            f"--permissions and {mode} both say what commands may do.", hint="Leave one out."
        )
    if not args.permissions:
        raise UsageError(
            "--permissions: the name is empty.", hint="Built-in: :read-only, :workspace."
        )
    return {"default_permissions": args.permissions}


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


def client_env() -> dict[str, str]:
    """Return this process's environment, as a server that clients started is to read it."""
    env = dict(os.environ)
    if env.get("CODEX_API_KEY"):  # how SDKs pass the key they were given; it is the nearer one
        env["OPENAI_API_KEY"] = env["CODEX_API_KEY"]
    return env


def working_directory(chosen: str | None) -> Path:
    """Return the absolute directory a command works in.

    Raises:
        UsageError: it is not there, or its name is no text, which clients could not be told.
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
    try:
        str(directory).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The name of the directory {str(directory)!r} is not UTF-8.", hint="Rename it."
        ) from None
    return directory


def existing_directory(path: str) -> Path:
    """Return the absolute path of a directory that `--add-dir` names.

    Raises:
        UsageError: it cannot be one that commands may write in.
    """
    if not path:
        raise UsageError("--add-dir: the path is empty.", hint="Name a directory.")
    named = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)
    if "\0" in path or not os.path.lexists(path):
        raise UsageError(f"--add-dir {named}: there is no such directory.", hint="Make it first.")
    real = os.path.realpath(path)
    leads = "" if os.path.abspath(path) == real else f" It leads to {real}."
    if real == "/":
        raise UsageError(
            f"--add-dir {named}: the whole disk cannot be made writable.{leads}",
            hint="Name the directories that commands are to write in.",
        )
    if not os.path.isdir(real):
        raise UsageError(
            f"--add-dir {named}: this is not a directory.{leads}",
            hint="Name the directory it is in.",
        )
    return Path(os.path.abspath(path))


def columns() -> int:
    """Return how wide the lines of a list may be: as the terminal, if it is one."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 120
