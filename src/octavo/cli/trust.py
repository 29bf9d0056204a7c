"""`octavo trust`: let a repository's own settings count, and agree to what in it executes."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace

from octavo.cli.shared import working_directory
from octavo.protocol.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.config.consent import Consents, Item

_NAMES = {
    "rules": "rules for commands",
    "environment": "environment of commands",
    "mcp": "MCP servers",
    "hooks": "hooks",
    "skill": "script of a skill",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("directory", nargs="?", metavar="DIR", help="default: this directory")
    add("--list", action="store_true", help="only say what there is to accept, and its state")
    add("--diff", action="store_true", help="only show what is new or changed")
    add("--accept-all", action="store_true", help="accept all that executes, without asking")
    parser.epilog = (
        "Trusts the whole Git repository that holds DIR, or DIR itself where there is none:\n"
        "its .octavo/config.toml then counts. Even so it cannot widen the sandbox or send\n"
        "data elsewhere. What executes or decides (rules, environment) counts only once you\n"
        "accepted exactly what is in it; after a change it is asked about again."
    )


def run(args: Namespace) -> int:
    """Trust, unless the person's own settings say otherwise; then ask about what executes."""
    from octavo.config.consent import accept, read_consents
    from octavo.config.consent_items import effective_items
    from octavo.config.load import load
    from octavo.config.trust import set_trust

    directory = working_directory(args.directory)
    only_look = args.list or args.diff
    loaded = load(cwd=directory, env=os.environ)
    if not only_look:
        unit = set_trust(loaded.home, directory, "trusted")
        loaded = load(cwd=directory, env=os.environ)
        if not loaded.trusted:
            raise ConfigError(
                f"{unit} is still not trusted: `projects` in your settings says untrusted.",
                hint="Change it there; `octavo config show` tells the line.",
            )
        print(f"Trusted: {unit}")
    consents = read_consents(loaded.home)
    items = effective_items(loaded, directory)
    open_items = [item for item in items if consents.state(item) != "accepted"]
    if args.list:
        _list(items, consents)
    if args.diff:
        for item in open_items:
            print(_shown(item, consents))
    if only_look:
        return 0
    if args.accept_all:
        accept(loaded.home, open_items)
        for item in open_items:
            print(f"Accepted: {describe(item)}")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        _ask(loaded.home, open_items, consents)
    else:
        for item in open_items:
            print(f"Not accepted ({consents.state(item)}): {describe(item)}")
        if open_items:
            print("Look at it with `octavo trust --diff`, accept it with --accept-all.")
    return 0


def describe(item: Item) -> str:
    """Name an item in one line."""
    from octavo.protocol.visible import visible_line

    return f"{_NAMES[item.kind]}, {visible_line(item.path)} (sha256 {item.digest[:12]})"


def _list(items: list[Item], consents: Consents) -> None:
    for item in items:
        print(f"{consents.state(item):<9}{describe(item)}")
    if not items:
        print("There is nothing to accept here.")


def _ask(home: os.PathLike[str], items: list[Item], consents: Consents) -> None:
    from pathlib import Path

    from octavo.config.consent import accept

    for item in items:
        print(_shown(item, consents))
        try:
            answer = input("Accept exactly this? [y/N] ")
        except EOFError:
            answer = ""
        if answer.strip().lower() in ("y", "yes"):
            accept(Path(home), [item])
            print("Accepted.")
        else:
            print("Not accepted; it does not count.")


def _shown(item: Item, consents: Consents) -> str:
    """Return an item for a person: all of it when it is new, else what changed.

    Nothing in it reaches the terminal that is not to be seen.
    """
    from octavo.protocol.visible import visible_command

    text = item.content.decode(errors="backslashreplace")
    title = f"{consents.state(item)}: {describe(item)}"
    before = consents.before(item)
    if before is None:
        lines = [f"+{line}" for line in visible_command(text).split("\n")]
        return "\n".join([title, *lines])
    import difflib

    old, new = (visible_command(one).split("\n") for one in (before, text))
    return "\n".join([title, *difflib.unified_diff(old, new, "accepted", "now", lineterm="")])
