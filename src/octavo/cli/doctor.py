"""`octavo doctor`: what works here, and how to mend what does not."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, load_settings

_WIDTH = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_config_options(parser)
    parser.epilog = (
        "Sends one request to the configured provider, which costs nothing.\n"
        "The exit status is 1 if anything fails."
    )


def run(args: Namespace) -> int:
    """Check everything and print what was found."""
    import msgspec

    from octavo.cli.checks import check_all

    checks = check_all(lambda: load_settings(args), os.environ)
    failed = any(check.status == "fail" for check in checks)
    if args.json:
        everything = {"ok": not failed, "checks": checks}
        print(msgspec.json.format(msgspec.json.encode(everything), indent=2).decode())
        return int(failed)
    for check in checks:
        print(f"{check.status:<5} {check.name:<{_WIDTH}} {check.said}")
        if check.mend:
            print(f"{'':<6}{'':<{_WIDTH}} → {check.mend}")
    return int(failed)
