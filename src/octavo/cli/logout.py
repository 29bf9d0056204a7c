"""`octavo logout`: remove a stored API key."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, load_settings


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--provider", metavar="NAME", help="whose key; default: the one configured")
    whose.add_argument("--all", action="store_true", help="remove every stored key")
    add_config_options(parser)


def run(args: Namespace) -> int:
    """Remove what is stored. That there is nothing is not an error."""
    from octavo.config.auth import delete_key, stored_keys

    loaded = load_settings(args)
    chosen = args.provider or loaded.settings.model_provider or "openai"
    providers = list(stored_keys(loaded.home)) if args.all else [chosen]
    removed = [name for name in providers if delete_key(name, home=loaded.home)]
    for name in removed:
        print(f"Removed the key of {name}.")
    if not removed:
        print("No key is stored." if args.all else f"No key of {chosen} is stored.")
    return 0
