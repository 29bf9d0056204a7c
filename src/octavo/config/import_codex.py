"""Take over what a person has set up for Codex.

Reads Codex's directory and writes only into octavo's. What is there already stays, unless forced;
keys and tokens are never copied; and every single thing found is reported: taken, kept or left,
with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from octavo.config.check import absolute_path
from octavo.config.explain import wrong_value
from octavo.config.keys import CODEX_ONLY_INSIDE, NAMED_TABLES, PATH_KEYS, TABLES, Key, dotted
from octavo.config.overrides import as_table
from octavo.config.paths import user_home, write_private
from octavo.config.settings import Settings
from octavo.config.tables import parse
from octavo.config.write import set_value
from octavo.protocol.errors import ConfigError

Outcome = Literal["taken", "kept", "left"]

_SECRET_NAME = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_URL_WITH_PASSWORD = re.compile(r"\w+://[^/]*@")
_DOCUMENTS = ("AGENTS.md", "AGENTS.override.md", "hooks.json")
_LEFT = {
    "auth.json": "keys are never copied; run `octavo login`",
    "prompts": "octavo does not use it",
    "agents": "octavo does not use it",
    "skills": "take over those you want with `octavo skills add`",
}


class Row(msgspec.Struct, frozen=True):
    """One thing that was found."""

    what: str
    outcome: Outcome
    why: str = ""


def codex_home(env: Mapping[str, str]) -> Path:
    """Return Codex's directory: `$CODEX_HOME` or `~/.codex`."""
    chosen = env.get("CODEX_HOME")
    return Path(chosen).absolute() if chosen else user_home(env) / ".codex"


def import_codex(
    source: Path, home: Path, *, env: Mapping[str, str], force: bool = False
) -> tuple[Row, ...]:
    """Copy settings, instructions and rules from `source` into `home` and say what was done.

    Raises:
        ConfigError: `source` is not there, one of its files cannot be read, or `home` cannot be
            written. Files written before that stay.
    """
    if not source.is_dir():
        raise ConfigError(f"{source} is not there.", hint="Set CODEX_HOME to Codex's directory.")
    rows: list[Row] = []
    for file in (source / "config.toml", *sorted(source.glob("?*.config.toml"))):
        if file.is_file():
            rows += _settings(file, home / file.name, env, force=force)
    for name in _DOCUMENTS:
        rows += _copied(source / name, home / name, name, force=force)
    for file in sorted((source / "rules").glob("*.rules")):
        name = f"rules/{file.name}"
        rows += _copied(file, home / name, name, force=force)
    rows += [Row(name, "left", why) for name, why in _LEFT.items() if (source / name).exists()]
    return tuple(rows)


def _copied(source: Path, target: Path, name: str, *, force: bool) -> Iterator[Row]:
    if not source.is_file():
        return
    try:
        data = source.read_bytes()
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}.") from None
    if target.exists() and not force:
        same = target.read_bytes() == data
        yield Row(name, "kept", "the same already" if same else "yours is different")
        return
    write_private(target, data)
    yield Row(name, "taken", f"to {target}")


def _settings(source: Path, target: Path, env: Mapping[str, str], *, force: bool) -> list[Row]:
    try:
        theirs = parse(source.read_bytes(), source)
        text = target.read_bytes().decode("utf-8-sig") if target.exists() else ""
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}.") from None
    ours = parse(text.encode(), target)
    rows: list[Row] = []
    before = text
    for key, said, struct in _leaves(theirs, Settings, ()):
        name = dotted(key) if source.name == "config.toml" else f"{source.name}: {dotted(key)}"
        value, reason = _usable(key, said, struct, source, env)
        if reason:
            rows.append(Row(name, "left", reason))
        elif not force and _has(ours, key):
            rows.append(Row(name, "kept", "you have set it already"))
        else:
            text = set_value(text, key, value)
            rows.append(Row(name, "taken"))
    if text != before:
        write_private(target, text.encode())
    return rows


def _leaves(
    table: Mapping[str, object], struct: type[msgspec.Struct] | None, at: Key
) -> Iterator[tuple[Key, object, type[msgspec.Struct] | None]]:
    """Yield every value with its key and the table it belongs to; None is a free table."""
    for name, value in table.items():
        key = (*at, name)
        unknown = struct is not None and name not in struct.__struct_fields__
        if unknown or not isinstance(value, dict):
            yield key, value, struct
        elif not at and name in NAMED_TABLES:
            for each, inner in value.items():
                if isinstance(inner, dict):
                    yield from _leaves(inner, NAMED_TABLES[name], (*key, each))
        else:
            inside = TABLES.get(struct, {}).get(name) if struct is not None else None
            yield from _leaves(value, inside, key)


def _usable(
    key: Key,
    value: object,
    struct: type[msgspec.Struct] | None,
    source: Path,
    env: Mapping[str, str],
) -> tuple[object, str]:
    """Return the value to write, or why it is left."""
    name = key[-1]
    if struct is not None and name not in struct.__struct_fields__:
        known = name in CODEX_ONLY_INSIDE.get(struct, ())
        return value, "octavo does not use it" if known else "octavo does not know it"
    if _secret(key, value):
        return value, "keys are never copied; run `octavo login`, or name a variable in env_key"
    if key == ("approval_policy",) and value == "on-failure":
        value = "on-request"
    if key in PATH_KEYS:
        if isinstance(value, str):
            value = absolute_path(value, source.parent, env)
        elif isinstance(value, list) and all(isinstance(path, str) for path in value):
            value = [absolute_path(path, source.parent, env) for path in value]
    table = as_table([(key, value)])
    try:
        msgspec.convert(table, Settings)
    except msgspec.ValidationError:
        return value, wrong_value(table)[1]
    return value, ""


def _secret(key: Key, value: object) -> bool:
    if key[-1] == "experimental_bearer_token":
        return True
    if isinstance(value, str) and _URL_WITH_PASSWORD.match(value):
        return True
    free = key[-2:-1] in (("http_headers",), ("query_params",), ("set",), ("env",))
    return free and bool(_SECRET_NAME.search(key[-1]))


def _has(table: Mapping[str, object], key: Key) -> bool:
    place: object = table
    for name in key:
        if not isinstance(place, dict) or name not in place:
            return False
        place = place[name]
    return True
