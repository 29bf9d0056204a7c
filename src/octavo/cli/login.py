"""`octavo login`: store an API key."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import add_config_options, load_settings
from octavo.protocol.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.config.load import Loaded
    from octavo.config.settings import ProviderConfig

_LIMIT = 65_536


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "action", nargs="?", choices=["status"], help="only say which key would be used"
    )
    parser.add_argument("--provider", metavar="NAME", help="whose key; default: the one configured")
    parser.add_argument(
        "--with-api-key", action="store_true", help="read the key from standard input"
    )
    add_config_options(parser)
    parser.epilog = (
        "Without a terminal the key is read from standard input: echo $KEY | octavo login"
    )


def run(args: Namespace) -> int:
    """Store a key, or say which one there is."""
    from octavo.config.auth import write_key
    from octavo.model.keys import find_provider, needs_key

    loaded = load_settings(args)
    provider, config = find_provider(args.provider, loaded.settings, os.environ)
    if args.action == "status":
        return _status(provider, config, loaded)
    if not needs_key(config):
        own = provider in loaded.settings.model_providers
        hint = f"If it does, add env_key to [model_providers.{provider}]." if own else None
        raise UsageError(f"{provider} needs no key.", hint=hint)
    key = _ask(provider, from_stdin=args.with_api_key)
    store = loaded.settings.cli_auth_credentials_store
    place = write_key(provider, key, home=loaded.home, store=store)
    where = "the system's keyring" if place == "keyring" else str(loaded.home / "auth.json")
    print(f"Stored the key of {provider} in {where}.")
    return 0


def _status(provider: str, config: ProviderConfig, loaded: Loaded) -> int:
    from octavo.model.keys import find_key, masked, needs_key

    found = find_key(provider, config, loaded, os.environ)
    if found is not None:
        print(f"The key of {provider} is {found.where}: {masked(found.key)}")
        return 0
    if not needs_key(config):
        print(f"{provider} needs no key.")
        return 0
    print(f"There is no key for {provider}. Run `octavo login` to store one.")
    return 1


def _ask(provider: str, *, from_stdin: bool) -> str:
    if sys.stdin is None:
        raise UsageError("There is no standard input to read the key from.")
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.read(_LIMIT)
    from getpass import getpass

    try:
        return getpass(f"API key of {provider} (not shown): ")
    except EOFError:
        raise UsageError("No key was given; nothing was stored.") from None
