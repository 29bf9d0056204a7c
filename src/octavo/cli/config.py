"""`octavo config`: which settings hold, where they come from, and changing your own."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, load_settings


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(
        dest="action",
        metavar="show | path | set | unset | import-codex",
        required=True,
        title="actions",
    )

    show = actions.add_parser("show", help="every value that is set, and where")
    show.add_argument("key", nargs="?", metavar="KEY", help="this setting, or table, alone")
    show.add_argument("--all", action="store_true", help="defaults too")
    show.add_argument("--json", action="store_true", help="print one JSON object")
    add_config_options(show)
    show.description = "Show the settings that hold here. Keys and tokens are masked."

    path = actions.add_parser("path", help="which files are read, lowest first")
    add_config_options(path)
    path.description = "List the settings files that count here, the strongest last."

    put = actions.add_parser("set", help="change a setting of your own")
    put.add_argument("key", metavar="KEY", help="as in config.toml: tui.notifications")
    put.add_argument("value", metavar="VALUE", help="as TOML; anything else is taken as text")
    put.description = (
        "Set KEY in your own config.toml. Comments and layout stay; what would not load is refused."
    )

    out = actions.add_parser("unset", help="take a setting of your own out")
    out.add_argument("key", metavar="KEY", help="a setting, or a table of them")
    out.description = "Take KEY out of your own config.toml. Comments and layout stay."

    take = actions.add_parser("import-codex", help="take over Codex's settings")
    take.add_argument("--force", action="store_true", help="overwrite what octavo has already")
    take.add_argument(
        "--from", dest="source", metavar="DIR", help="default: $CODEX_HOME or ~/.codex"
    )
    take.description = (
        "Copy config.toml, profiles, AGENTS.md and rules into octavo's directory.\n"
        "What is there already stays, keys are never copied, and everything found is listed."
    )


def run(args: Namespace) -> int:
    """Do what `args.action` says."""
    match args.action:
        case "show":
            from octavo.cli.show import show

            return show(load_settings(args), args.key, defaults=args.all, as_json=args.json)
        case "path":
            return _path(args)
        case "set":
            from octavo.cli.config_set import set_value

            return set_value(args.key, args.value)
        case "unset":
            from octavo.cli.config_set import unset

            return unset(args.key)
        case _:
            return _import_codex(args)


def _path(args: Namespace) -> int:
    for file in load_settings(args).files:
        print(file)
    return 0


def _import_codex(args: Namespace) -> int:
    from pathlib import Path

    from octavo.config.import_codex import codex_home, import_codex
    from octavo.config.paths import octavo_home

    source = Path(args.source).absolute() if args.source else codex_home(os.environ)
    home = octavo_home(os.environ)
    rows = import_codex(source, home, env=os.environ, force=args.force)
    if not rows:
        print(f"{source} has nothing to take over.")
        return 0
    width = min(60, max(len(row.what) for row in rows))
    for row in rows:
        print(f"{row.outcome:<6} {row.what:<{width}}  {row.why}".rstrip())
    taken = sum(row.outcome == "taken" for row in rows)
    print(f"\n{taken} of {len(rows)} taken into {home}.")
    return 0
