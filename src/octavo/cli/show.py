"""How `octavo config show` shows settings: as TOML, each with its origin, secrets masked."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from octavo.config.keys import Key, dotted, parse_key
from octavo.config.load import Loaded
from octavo.config.masks import masked
from octavo.config.toml_text import locate
from octavo.config.write import encode_value
from octavo.protocol.errors import ConfigError


class Shown(msgspec.Struct, frozen=True):
    """One value and its origin."""

    value: object
    layer: str
    file: str | None = None
    line: int | None = None


def show(loaded: Loaded, key: str | None, *, defaults: bool, as_json: bool) -> int:
    """Print the settings of `loaded`; with a key what is set there, or its default.

    Raises:
        ConfigError: the key names no setting.
    """
    values = dict(sorted(_values(loaded, defaults=defaults or key is not None)))
    if key is not None:
        wanted = parse_key(key)
        values = {name: one for name, one in values.items() if _is_in(parse_key(name), wanted)}
        if not values:
            raise ConfigError(
                f"There is no setting {key}.", hint="`octavo config show --all` shows all."
            )
    if as_json:
        everything = {
            "values": values,
            "warnings": loaded.warnings,
            "home": str(loaded.home),
            "project_root": str(loaded.project_root),
            "trusted": loaded.trusted,
        }
        print(msgspec.json.format(msgspec.json.encode(everything), indent=2).decode())
        return 0
    for warning in loaded.warnings:
        print(f"octavo: warning: {warning}", file=sys.stderr)
    if not values:
        print("Nothing is set; every value is its default. `octavo config show --all` shows them.")
        return 0
    lines = {f"{key} = {_written(shown.value)}": shown for key, shown in values.items()}
    width = min(60, max(map(len, lines)))
    for line, shown in lines.items():
        print(f"{line:<{width}}  # {_origin(shown)}")
    return 0


def _is_in(key: Key, wanted: Key) -> bool:
    return key[: len(wanted)] == wanted or wanted[: len(key)] == key


def _written(value: object) -> str:
    return "(not set)" if value is None else encode_value(value)


def _origin(shown: Shown) -> str:
    match shown.layer:
        case "default":
            return "default"
        case "override":
            return "-c"
        case "flag":
            return "flag"
        case layer:
            return f"{layer}: {shown.file}:{shown.line}" if shown.line else f"{layer}: {shown.file}"


def _values(loaded: Loaded, *, defaults: bool) -> Iterator[tuple[str, Shown]]:
    settings = msgspec.to_builtins(loaded.settings)
    for name, source in loaded.sources.items():
        key = parse_key(name)
        value = settings
        for part in key:
            value = value[part]
        file = source.file
        place = locate(file, key) if file else None
        yield (
            name,
            Shown(
                masked(key, value),
                source.layer,
                str(file) if file else None,
                place[0] if place else None,
            ),
        )
    if defaults:
        for key, value in _leaves(settings, ()):
            if dotted(key) not in loaded.sources:
                yield dotted(key), Shown(masked(key, value), "default")


def _leaves(table: dict[str, object], at: Key) -> Iterator[tuple[Key, object]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*at, name))
        else:
            yield (*at, name), value
