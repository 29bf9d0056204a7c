"""`octavo untrust`: stop a repository's own settings from counting."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import working_directory


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: this directory")


def run(args: Namespace) -> int:
    """Distrust, whatever the settings say: "untrusted" wins."""
    from octavo.config.consent import forget
    from octavo.config.paths import octavo_home
    from octavo.config.trust import set_trust

    home = octavo_home(os.environ)
    unit = set_trust(home, working_directory(args.directory), "untrusted")
    forget(home, unit)
    print(f"Not trusted: {unit}")
    return 0
