"""Where in a project there is something to agree to.

`effective_items` are what octavo would use; `found_items` besides what other tools know and octavo
does not run: hooks, servers, scripts of skills.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from octavo.config.consent import Item, Kind, environment_item, item_of
from octavo.config.load import PROJECT_FILE, Loaded
from octavo.config.rule_files import project_rule_files
from octavo.config.tables import Tables
from octavo.config.trust import read_executable

_FOUND: tuple[tuple[Kind, str], ...] = (
    ("mcp", ".mcp.json"),
    ("hooks", ".octavo/hooks.json"),
    ("hooks", ".codex/hooks.json"),
    ("skill", ".agents/skills/*/scripts/*"),
    ("skill", ".octavo/skills/*/scripts/*"),
)
_TABLES: tuple[tuple[Kind, str], ...] = (("mcp", "mcp_servers"), ("hooks", "hooks"))
_FOUND_LIMIT = 1000


def effective_items(loaded: Loaded, cwd: Path) -> list[Item]:
    """Return what octavo would use of the project in `cwd`, outermost directory first.

    Raises:
        ConfigError: one of the files cannot be read.
    """
    items: list[Item] = []
    tables = Tables(loaded.home)
    for place in _places(loaded, cwd):
        file = place / PROJECT_FILE
        table = tables.read(file) if file.parent != loaded.home else None
        policy = None if table is None else table.get("shell_environment_policy")
        if policy is not None:
            items.append(environment_item(file, policy))
    rules = project_rule_files(loaded, cwd)
    return [*items, *(item_of("rules", file, read_executable(file)) for file in rules)]


def found_items(root: Path, home: Path) -> list[Item]:
    """Return what could execute in `root` if a tool knew it, as far as it can be read.

    Raises:
        ConfigError: one of the files cannot be read.
    """
    items = [
        item_of(kind, file, read_executable(file))
        for kind, pattern in _FOUND
        for file in sorted(_matching(root, pattern))
    ]
    tables = Tables(home)
    for file in (root / PROJECT_FILE, root / ".codex" / "config.toml"):
        table = tables.read(file) or {}
        for kind, name in _TABLES:
            if name in table:
                content = environment_item(file, table[name]).content
                items.append(item_of(kind, file, content))
    return items


def _matching(root: Path, pattern: str) -> Iterator[Path]:
    for number, file in enumerate(root.glob(pattern)):
        if number >= _FOUND_LIMIT:
            return
        if file.is_file():
            yield file


def _places(loaded: Loaded, cwd: Path) -> list[Path]:
    steps = [Path(os.path.abspath(cwd)), *Path(os.path.abspath(cwd)).parents]
    root = loaded.project_root
    return list(reversed(steps[: steps.index(root) + 1] if root in steps else [steps[0]]))
