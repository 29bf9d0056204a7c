"""`octavo trust`: let a repository's own settings count."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import working_directory
from octavo.protocol.errors import ConfigError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: this directory")
    parser.epilog = (
        "Trusts the whole Git repository that holds DIR, or DIR itself where there is none:\n"
        "its .octavo/config.toml then counts. Even so it cannot widen the sandbox or send\n"
        "data elsewhere."
    )


def run(args: Namespace) -> int:
    """Trust, unless the person's own settings say otherwise."""
    from octavo.config.load import load
    from octavo.config.trust import set_trust

    directory = working_directory(args.directory)
    unit = set_trust(load(cwd=directory, env=os.environ).home, directory, "trusted")
    if not load(cwd=directory, env=os.environ).trusted:
        raise ConfigError(
            f"{unit} is still not trusted: `projects` in your settings says untrusted.",
            hint="Change it there; `octavo config show` tells the line.",
        )
    print(f"Trusted: {unit}")
    return 0
