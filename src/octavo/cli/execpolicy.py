"""`octavo execpolicy`: what the rules say of a command, before anybody runs it."""

from __future__ import annotations

import json
from argparse import REMAINDER, ArgumentParser, Namespace
from pathlib import Path

from octavo.protocol.errors import UsageError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="check", required=True, title="actions")
    check = actions.add_parser("check", help="judge one command by rule files")
    check.add_argument(
        "-r",
        "--rules",
        metavar="FILE",
        type=Path,
        action="append",
        required=True,
        help="a .rules file; may be repeated",
    )
    check.add_argument("--pretty", action="store_true", help="indent the JSON")
    check.add_argument(
        "--resolve-host-executables",
        action="store_true",
        help="let /usr/bin/git fit rules for git, where host_executable agrees",
    )
    check.add_argument("command", nargs=REMAINDER, metavar="-- CMD …", help="the command's words")
    check.description = (
        "Print the rules that fit a command, and the strictest decision, as JSON.\n"
        "The words are taken as they are: `bash -c` and other wrappers are not seen through here."
    )


def run(args: Namespace) -> int:
    """Check the rules and their examples, then the command."""
    from octavo.policy.rules import check, load

    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words:
        raise UsageError(
            "There is no command to check.",
            hint="For example: octavo execpolicy check --rules my.rules -- git push",
        )
    report = check(load(args.rules), words, resolve=args.resolve_host_executables)
    if args.pretty:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print(json.dumps(report, separators=(",", ":"), ensure_ascii=False))
    return 0
