"""What one layer may say: known keys, fitting values, and for a project few of them.

A layer comes out of here as a table that can be laid over others, or not at all. What was left out
is told in `warnings`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from octavo.config.keys import (
    CODEX_ONLY_INSIDE,
    CONSENT_KEYS,
    FENCES,
    NAMED_TABLES,
    PATH_KEYS,
    PROJECT_KEYS,
    TABLES,
    Key,
    dotted,
)
from octavo.config.layers import Layer, LayerName, Source
from octavo.config.overrides import as_table
from octavo.config.paths import expand
from octavo.config.settings import Settings
from octavo.config.tables import Table, Tables
from octavo.protocol.errors import ConfigError


class Check:
    """Turns what a layer says into what it may say, and collects what to warn about."""

    def __init__(self, cwd: Path, home: Path, env: Mapping[str, str], *, strict: bool) -> None:
        self.warnings: list[str] = []
        self.hooks: list[tuple[Path, object]] = []
        """What files of a project say of hooks; whether it counts is decided in `hook_files`."""
        self._cwd = cwd
        self._home = home
        self._env = env
        self._strict = strict

    def file(self, tables: Tables, name: LayerName, path: Path) -> Layer | None:
        """Return the layer of one file; None if there is no such file."""
        table = tables.read(path)
        if table is None:
            return None
        return self._checked(table, Source(name, path))

    def given(self, name: LayerName, settings: Iterable[tuple[Key, object]]) -> Layer | None:
        """Return the layer of what stands on the command line; None if nothing does."""
        table = as_table(settings)
        return self._checked(table, Source(name)) if table else None

    def distrusted(self, file: Path) -> bool:
        """Warn that a project's file does not count."""
        self.warnings.append(
            f"{file} is ignored because its directory is not trusted. "
            f"Run `octavo trust {file.parent.parent}` if you trust it."
        )
        return False

    def _checked(self, table: Table, source: Source) -> Layer:
        useless: list[Key] = []
        known = self._known(table, Settings, (), source, useless)
        if useless:
            names = ", ".join(map(dotted, useless))
            self.warnings.append(f"{place(source)}: octavo does not use {names}.")
        if source.layer == "project":
            if "hooks" in known and source.file is not None:
                self.hooks.append((source.file, known.pop("hooks")))
            known = self._allowed(known, (), source, self._project_keys(known, source))
        self._approval_policy(known, source)
        try:
            msgspec.convert(known, Settings)
        except msgspec.ValidationError:
            from octavo.config.explain import wrong_value

            key, why = wrong_value(known)
            raise ConfigError(f"{place(source, key)}: {dotted(key)}: {why}.") from None
        return Layer(source, self._absolute(known, source))

    def _known(
        self,
        table: Mapping[str, object],
        struct: type[msgspec.Struct],
        at: Key,
        source: Source,
        useless: list[Key],
    ) -> Table:
        """Return `table` without the keys that are not settings."""
        known: Table = {}
        inner = TABLES.get(struct, {})
        for name, value in table.items():
            key = (*at, name)
            if name not in struct.__struct_fields__:
                if not self._strict and name in CODEX_ONLY_INSIDE.get(struct, ()):
                    useless.append(key)
                else:
                    self._unknown(key, struct, source)
            elif isinstance(value, dict) and name in inner:
                known[name] = self._known(value, inner[name], key, source, useless)
            elif isinstance(value, dict) and not at and name in NAMED_TABLES:
                kind = NAMED_TABLES[name]
                known[name] = {
                    n: self._known(v, kind, (*key, n), source, useless) if type(v) is dict else v
                    for n, v in value.items()
                }
            else:
                known[name] = value
        return known

    def _unknown(self, key: Key, struct: type[msgspec.Struct], source: Source) -> None:
        from octavo.config.explain import unknown_key

        message = f"{place(source, key)}: {unknown_key(key, struct)}"
        if self._strict or (struct in FENCES and source.layer != "project"):
            raise ConfigError(message)
        self.warnings.append(message)

    def _project_keys(self, table: Table, source: Source) -> frozenset[str]:
        """Return what this project's file may set; takes out of `table` what is not agreed to."""
        keys = PROJECT_KEYS
        for name, more in CONSENT_KEYS.items():
            if name in table and source.file is not None and self._is_agreed(name, table, source):
                keys |= more
        return keys

    def _is_agreed(self, name: str, table: Table, source: Source) -> bool:
        """Return whether the person agreed to one table of a project's file as it is."""
        from octavo.config.consent import table_item  # few projects set one

        assert source.file is not None
        try:
            state = table_item(self._home, source.file, name, table[name]).state
        except ConfigError as error:
            why = str(error).rstrip(".")
        else:
            if state == "accepted":
                return True
            changed = "it has changed since you agreed to it"
            why = changed if state == "changed" else "you have not agreed to it"
        self.warnings.append(
            f"{place(source, (name,))}: {name} is ignored because {why}. "
            f"Run `octavo trust {source.file.parent.parent}` to see it."
        )
        del table[name]
        return False

    def _allowed(self, table: Table, at: Key, source: Source, keys: frozenset[str]) -> Table:
        """Return what of `table` is among `keys`."""
        allowed: Table = {}
        for name, value in table.items():
            key = (*at, name)
            if dotted(key) in keys:
                allowed[name] = value
            elif isinstance(value, dict) and any(k.startswith(dotted(key) + ".") for k in keys):
                allowed[name] = self._allowed(value, key, source, keys)
            else:
                self.warnings.append(
                    f"{place(source, key)}: {dotted(key)} is ignored: a project's file may not "
                    "set it. Put it in your own config.toml if you want it."
                )
        return allowed

    def _approval_policy(self, table: Table, source: Source) -> None:
        """Read the words of other versions as what octavo does, or refuse them."""
        policy = table.get("approval_policy")
        if policy == "on-failure":
            table["approval_policy"] = "on-request"
        elif policy == "untrusted":
            raise ConfigError(
                f'{place(source, ("approval_policy",))}: approval_policy "untrusted" is not '
                "supported.",
                hint='Use "on-request" (octavo asks before it leaves the sandbox) or "never".',
            )

    def _absolute(self, table: Table, source: Source) -> Table:
        """Make the paths of a layer absolute, in place."""
        base = source.file.parent if source.file is not None else self._cwd
        for *tables, last in PATH_KEYS:
            inner: object = table
            for name in tables:
                inner = inner.get(name) if isinstance(inner, dict) else None
            if not isinstance(inner, dict) or last not in inner:
                continue
            value = inner[last]
            inner[last] = (
                absolute_path(value, base, self._env)
                if isinstance(value, str)
                else [absolute_path(path, base, self._env) for path in value]
            )
        return table


def place(source: Source, key: Key = ()) -> str:
    """Say where `key` is set, for the beginning of a message."""
    if source.file is None:
        return "-c" if source.layer == "override" else "flags"
    if not key:
        return str(source.file)
    from octavo.config.toml_text import locate

    found = locate(source.file, key)
    return f"{source.file}:{found[0]}:{found[1]}" if found else str(source.file)


def absolute_path(path: str, base: Path, env: Mapping[str, str]) -> str:
    """Return `path` as it is meant in a file in `base`: `~` is the home, the rest is relative."""
    return os.path.normpath(base / expand(path, env))
