"""Make the text of a TOML file say something else, keeping what a person wrote around it.

Only what differs is touched: comments, order, spacing and the way values are written stay wherever
the value does. A table that goes takes the comments inside it along. `write.set_value` sets single
values; here tables and lists of tables are set, and things are taken out. The result is parsed: if
it does not say exactly what was wanted, nothing is returned.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping

import msgspec

from octavo.config.keys import Key, dotted
from octavo.config.tables import Table
from octavo.config.toml_text import Entry, Layout, scan
from octavo.config.write import encode_value, set_value
from octavo.protocol.errors import ConfigError


class Edit(msgspec.Struct, frozen=True):
    """One change of a table: set `key` to `value`, or take it out where `value` is None.

    With `upsert`, a table is laid over the one that is there, where None takes out; else it takes
    that one's place.
    """

    key: Key
    value: object
    upsert: bool = False


def edited(table: Mapping[str, object], edit: Edit) -> Table:
    """Return `table` after one edit. Tables on the way are made; None inside a value is nothing."""
    name, *rest = edit.key
    changed = dict(table)
    inner = changed.get(name)
    if rest:
        if edit.value is None and not isinstance(inner, Mapping):
            return changed
        below = inner if isinstance(inner, Mapping) else {}
        changed[name] = edited(below, Edit(tuple(rest), edit.value, edit.upsert))
    elif edit.value is None:
        changed.pop(name, None)
    elif edit.upsert and isinstance(inner, Mapping) and isinstance(edit.value, Mapping):
        for inside, value in edit.value.items():
            inner = edited(inner, Edit((inside,), value, upsert=True))
        changed[name] = inner
    else:
        changed[name] = _without_none(edit.value)
    return changed


def _without_none(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_none(inner) for name, inner in value.items() if inner is not None}
    return value


def rewritten(text: str, wanted: Mapping[str, object]) -> str:
    """Return `text`, valid TOML, changed so that it says `wanted`.

    Raises:
        ConfigError: the file is written in a way that leaves no place for that.
        TypeError: TOML has no such value.
    """
    before = tomllib.loads(text)
    changed = text
    try:
        for key, value in _differences(before, wanted, ()):
            changed = _with(changed, key, value, wanted)
        correct = tomllib.loads(changed) == wanted
    except (tomllib.TOMLDecodeError, ConfigError, IndexError):
        correct = False
    if not correct:
        keys = ", ".join(dotted(key) for key, _ in _differences(before, wanted, ()))
        raise ConfigError(
            f"{keys}: the file is written in a way that octavo cannot change.",
            hint="Change it by hand.",
        )
    return changed


def _differences(
    before: Mapping[str, object], wanted: Mapping[str, object], at: Key
) -> Iterator[tuple[Key, object]]:
    """Yield what to set, and then to take out (None), to come from one table to another."""
    for name, value in wanted.items():
        key, old = (*at, name), before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            yield from _differences(old, value, key)
        elif name not in before or not _same(old, value):
            yield key, value
    for name in before:
        if name not in wanted:
            yield (*at, name), None


def _same(old: object, new: object) -> bool:
    return type(old) is type(new) and old == new and repr(old) == repr(new)


def _with(text: str, key: Key, value: object, wanted: Mapping[str, object]) -> str:
    """Return `text` with one difference less; what surrounds it may be written anew."""
    whole = _inline_around(scan(text), key)
    if whole is not None:
        inside = _at(wanted, whole.key)
        return text[: whole.value_start] + encode_value(inside) + text[whole.value_end :]
    if value is not None and any(entry.key == key for entry in scan(text).entries):
        return set_value(text, key, value)
    text = _without(text, key)
    if value is None:
        return text
    for inner, leaf in _leaves(key, value):
        text = _beside(text, inner, leaf) or set_value(text, inner, leaf)
    return text


def _beside(text: str, key: Key, value: object) -> str | None:
    """Return `text` with one value more in a table that has no header: `table.name = value`."""
    layout = scan(text)
    for depth in range(len(key) - 1, 0, -1):
        table = key[:depth]
        if any(header.key == table for header in layout.headers):
            return None
        inside = [e for e in layout.entries if not e.inline and e.key[:depth] == table]
        headers = {entry: _header(layout, entry) for entry in inside}
        dotted_ones = [entry for entry in inside if len(headers[entry]) < depth]
        if dotted_ones:
            last = max(dotted_ones, key=lambda entry: entry.start)
            line = f"{dotted(key[len(headers[last]) :])} = {encode_value(value)}\n"
            end = text.find("\n", last.value_end)
            return f"{text}\n{line}" if end < 0 else text[: end + 1] + line + text[end + 1 :]
    return None


def _header(layout: Layout, entry: Entry) -> Key:
    """Return the table under whose header an entry stands."""
    above = [header for header in layout.headers if header.start < entry.start]
    return max(above, key=lambda header: header.start).key if above else ()


def _inline_around(layout: Layout, key: Key) -> Entry | None:
    """Return the outermost `name = { … }` that `key` is or belongs inside of."""
    for entry in layout.entries:
        if not entry.inline and len(entry.key) < len(key) and key[: len(entry.key)] == entry.key:
            return entry
    return None


def _at(table: object, key: Key) -> object:
    for name in key:
        table = table[name] if isinstance(table, Mapping) else None
    return table


def _leaves(key: Key, value: object) -> Iterator[tuple[Key, object]]:
    if not isinstance(value, Mapping) or not value:
        yield key, value
        return
    for name, inner in value.items():  # what is no table first: it stands before the inner headers
        if not isinstance(inner, Mapping):
            yield (*key, name), inner
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves((*key, name), inner)


def _without(text: str, key: Key) -> str:
    """Take out `key` and all in it: lines of values, and tables with what stands in them."""
    layout = scan(text)
    starts = sorted(header.start for header in layout.headers)
    gone: list[tuple[int, int]] = []
    for header in layout.headers:
        if header.key[: len(key)] == key:
            following = min((s for s in starts if s > header.start), default=len(text))
            gone.append((header.start, _before_its_comments(text, header.end, following)))
    for entry in layout.entries:
        if not entry.inline and entry.key[: len(key)] == key:
            start = text.rfind("\n", 0, entry.start) + 1
            end = text.find("\n", entry.value_end)
            gone.append((start, len(text) if end < 0 else end + 1))
    kept, at = [], 0
    for start, end in sorted(gone):
        if start >= at:
            kept.append(text[at:start])
        at = max(at, end)
    return "".join([*kept, text[at:]])


def _before_its_comments(text: str, least: int, start: int) -> int:
    """Return where the comments directly above a table begin: they are about that one."""
    if start == len(text):
        return start
    while start > least:
        line = text.rfind("\n", 0, start - 1) + 1
        if line <= least or not text[line:start].lstrip().startswith("#"):
            break
        start = line
    return start
