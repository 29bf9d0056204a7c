"""`octavo hooks`: which hooks run in a directory, and which do not, and why."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.protocol import methods as m


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list", title="actions")
    listing = actions.add_parser("list", help="show them, and what does not run")
    listing.add_argument("directory", nargs="?", metavar="DIR", help="default: this directory")
    listing.add_argument("--json", action="store_true", help="print JSON")
    add_config_options(listing)
    parser.epilog = (
        "Hooks stand in hooks.json and [hooks] of your settings, and in .octavo of a repository;\n"
        "those of a repository run once you agreed to them with `octavo trust`."
    )


def run(args: Namespace) -> int:
    """List them, through a server as any client would."""
    from octavo.cli.asking import ask
    from octavo.protocol import methods as m
    from octavo.server.server import Launch

    launch = Launch(
        env=dict(os.environ),
        profile=args.profile,
        overrides=tuple(args.config),
        strict_config=args.strict_config,
        source="cli",
    )
    params = m.HooksListParams((str(working_directory(args.directory)),))
    answer = ask(lambda client: client.call(m.HOOKS_LIST, params), launch)
    _print(answer.data[0], as_json=args.json)
    return 0


def _print(entry: m.HooksListEntry, *, as_json: bool) -> None:
    import sys

    import msgspec

    from octavo.protocol.visible import visible_command

    if as_json:
        print(msgspec.json.format(msgspec.json.encode(entry), indent=2).decode())
        return
    if not entry.hooks:
        print("No hook is named here.")
    for hook in entry.hooks:
        where = "outside" if hook.octavo_outside else "sandbox"
        state = "runs" if hook.enabled else hook.trust_status
        about = "" if hook.matcher is None else f" {visible_command(hook.matcher)}"
        name = hook.event_name[:1].upper() + hook.event_name[1:]
        print(f"{state:<9} {where:<7} {name}{about}: {visible_command(hook.command)}")
        print(f"{'':<9} {visible_command(hook.source_path)}, {hook.timeout_sec} s")
    for text in (*(error.message for error in entry.errors), *entry.warnings):
        print(f"! {visible_command(text)}", file=sys.stderr)
