"""Say what is wrong with a setting, for a person.

Only on the way to an error or a warning: it looks types up and searches for near matches, which
costs time that a good configuration never pays.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

from octavo.config.keys import CODEX_ONLY_INSIDE, Key, basic_string, dotted
from octavo.config.settings import Settings

_PLAIN = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}


def wrong_value(table: Mapping[str, object]) -> tuple[Key, str]:
    """Return the first key of `table` whose value does not fit, and what was expected there."""
    found = _wrong(table, Settings, ())
    if found is None:
        raise AssertionError("every single value fits, but all together do not")
    return found


def _wrong(value: object, wanted: object, key: Key) -> tuple[Key, str] | None:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        pass
    else:
        return None
    if isinstance(value, Mapping):
        for name, inner in value.items():
            hint = _inside(wanted, name)
            found = None if hint is None else _wrong(inner, hint, (*key, name))
            if found is not None:
                return found
        absent = _absent(wanted, value)
        if absent is not None:
            return key, f"{absent} is missing"
    if isinstance(value, list) and get_origin(wanted) is tuple:
        for inner in value:
            found = _wrong(inner, get_args(wanted)[0], key)
            if found is not None and found[0] != key:
                return found
    shown = _shown(value)
    if get_origin(_without_none(wanted)) is Literal and isinstance(value, str) and len(value) < 40:
        shown = basic_string(value)
    return key, f"expected {describe(wanted)}, found {shown}"


def _inside(wanted: object, name: str) -> object:
    wanted = _without_none(wanted)
    if get_origin(wanted) in (Union, types.UnionType):  # one of them may be a table
        return next(filter(None, (_inside(kind, name) for kind in get_args(wanted))), None)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return typing.get_type_hints(wanted, include_extras=True).get(name)
    if get_origin(wanted) is dict:
        return get_args(wanted)[1]
    return None


def _absent(wanted: object, value: Mapping[str, object]) -> str | None:
    """Return a name that has to be in a table and is not."""
    wanted = _without_none(wanted)
    if not (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        return None
    needed = len(wanted.__struct_fields__) - len(wanted.__struct_defaults__)
    return next((n for n in wanted.__struct_fields__[:needed] if n not in value), None)


def _without_none(wanted: object) -> object:
    if get_origin(wanted) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(wanted) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else wanted
    return wanted


def describe(wanted: object) -> str:
    """Say in words which values a type takes."""
    wanted = _without_none(wanted)
    origin = get_origin(wanted)
    if origin is Annotated:
        kind, meta = get_args(wanted)
        return _plain(kind) + _bounds(meta)
    if origin is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(wanted))
    if origin is tuple:
        return "a list of tables" if _is_table(get_args(wanted)[0]) else "a list of strings"
    if origin in (Union, types.UnionType):
        return " or ".join(map(describe, get_args(wanted)))
    return _plain(wanted)


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _plain(kind: object) -> str:
    return _PLAIN.get(kind, "a table") if isinstance(kind, type) else "a table"


def _bounds(meta: msgspec.Meta) -> str:
    if meta.ge is not None:
        return f" from {meta.ge} to {meta.le}"
    if meta.gt is not None:
        return f" above {meta.gt}, up to {meta.le}"
    return f" of {meta.min_length} to {meta.max_length} characters"


def _shown(value: object) -> str:
    """Name a value's kind; its text only when that cannot be a secret."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            return "an empty string" if not value else "a string"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a table"
        case _:
            return "a date or time"


def unknown_key(key: Key, struct: type[msgspec.Struct]) -> str:
    """Say that `struct` has no such key, and which one may have been meant."""
    name = key[-1]
    if name in CODEX_ONLY_INSIDE.get(struct, ()):
        return f"{dotted(key)} is a Codex setting that octavo does not use."
    import difflib

    near = difflib.get_close_matches(name, struct.__struct_fields__, n=1)
    if near:
        return f"unknown key {dotted(key)}; did you mean {dotted((*key[:-1], near[0]))}?"
    return f"unknown key {dotted(key)}."
