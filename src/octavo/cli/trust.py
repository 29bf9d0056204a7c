"""`octavo trust`: let a repository's own settings count."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from octavo.cli.shared import working_directory
from octavo.protocol.errors import ConfigError
from octavo.protocol.visible import visible_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.config.consent import Item
    from octavo.config.load import Loaded


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="default: this directory")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    parser.add_argument("--accept-all", action="store_true", help="agree to all of it as it is")
    parser.epilog = (
        "Trusts the whole Git repository that holds DIR, or DIR itself where there is none:\n"
        "its .octavo/config.toml then counts. Even so it cannot widen the sandbox or send\n"
        "data elsewhere. Its rules for commands (.octavo/rules), the environment that it sets for\n"
        "them, its MCP servers, and its hooks with the scripts they name count only as long as\n"
        "they are, byte for byte, what you agreed to: each is shown, and after a change the\n"
        "difference is."
    )


def run(args: Namespace) -> int:
    """Trust, unless the person's own settings say otherwise."""
    from octavo.config.load import load
    from octavo.config.trust import set_trust

    directory = working_directory(args.directory)
    if args.list:
        return _list(load(cwd=directory, env=os.environ), directory)
    unit = set_trust(load(cwd=directory, env=os.environ).home, directory, "trusted")
    if not load(cwd=directory, env=os.environ).trusted:
        raise ConfigError(
            f"{unit} is still not trusted: `projects` in your settings says untrusted.",
            hint="Change it there; `octavo config show` tells the line.",
        )
    print(f"Trusted: {unit}")
    agree(load(cwd=directory, env=os.environ), directory, everything=args.accept_all)
    return 0


def agree(loaded: Loaded, directory: Path, *, everything: bool) -> None:
    """Have the person agree to what decides or runs, one by one or to `everything` there is."""
    from octavo.config.consent import accept

    accepted: list[Item] = []
    for item in _items(loaded, directory):
        if item.state == "accepted":
            continue
        _show(item)
        if everything or _is_agreed(item):
            accepted.append(item)
            print(f"Agreed to: {visible_name(item.name)}", file=sys.stderr)
        else:
            print(
                f"Not agreed to: {visible_name(item.name)}. It does not count until you run "
                "`octavo trust` on a terminal, or with --accept-all.",
                file=sys.stderr,
            )
    if accepted:
        accept(loaded.home, accepted)


def _items(loaded: Loaded, directory: Path) -> list[Item]:
    """Return what of a project there is to agree to."""
    from octavo.config.consent import items, table_item
    from octavo.config.hook_files import project_items
    from octavo.config.keys import CONSENT_KEYS
    from octavo.config.load import project_files
    from octavo.config.rule_files import project_rules
    from octavo.config.tables import Tables

    found: list[Item] = []
    tables = Tables(loaded.home)
    for file in project_files(loaded.project_root, directory, loaded.home):
        said = tables.read(file) or {}
        names = [name for name in CONSENT_KEYS if name in said]
        found += [table_item(loaded.home, file, name, said[name]) for name in names]
    rules = items(loaded.home, project_rules(loaded, directory))
    return [*found, *rules, *project_items(loaded, directory)]


def _list(loaded: Loaded, directory: Path) -> int:
    print("Trusted" if loaded.trusted else "Not trusted")
    for item in _items(loaded, directory):
        print(f"{item.state:<9} {item.sha256[:16]}  {visible_name(item.name)}")
    return 0


def _show(item: Item) -> None:
    what = "has changed since you agreed to it" if item.state == "changed" else "is new"
    print(f"\n{visible_name(str(item.path))} {what} (sha256 {item.sha256[:16]}):", file=sys.stderr)
    for line in item.difference():
        print(f"    {line}", file=sys.stderr)


def _is_agreed(item: Item) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"Let {visible_name(item.name)} count? [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
