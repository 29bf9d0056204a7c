"""Change single values of a TOML file, leaving the rest of its text alone.

Comments, order and spacing are a person's and stay. The result is parsed again: if it does not say
exactly what was wanted, nothing is returned.
"""

from __future__ import annotations

from collections.abc import Mapping

from octavo.config.keys import Key, basic_string, dotted
from octavo.config.toml_text import Layout, scan
from octavo.protocol.errors import ConfigError


def encode_value(value: object) -> str:
    """Write one value on one line.

    Raises:
        TypeError: TOML has no such value, or octavo has no setting that could hold it.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)  # also of what is endless or no number: TOML has the same words
        case str():
            return basic_string(value)
        case list() | tuple():
            return "[" + ", ".join(map(encode_value, value)) + "]"
        case Mapping():
            pairs = (f"{dotted((k,))} = {encode_value(v)}" for k, v in value.items())
            return "{ " + ", ".join(pairs) + " }" if value else "{}"
        case _:
            raise TypeError(f"{type(value).__name__} is not written to settings files")


def set_value(text: str, key: Key, value: object) -> str:
    """Return `text`, valid TOML, with `key` set to `value` and everything else as it was.

    Raises:
        ConfigError: the file is written in a way that leaves no place for the key.
    """
    import tomllib

    wanted = tomllib.loads(text)
    _put(wanted, key, tomllib.loads(f"v = {encode_value(value)}")["v"])
    changed = _changed(text, scan(text), key, value)
    try:
        correct = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        correct = False
    if not correct:
        raise ConfigError(
            f"{dotted(key)} cannot be added to this file automatically.",
            hint=f"Add it by hand: {dotted(key)} = {encode_value(value)}",
        )
    return changed


def _put(table: dict[str, object], key: Key, value: object) -> None:
    for name in key[:-1]:
        inner = table.get(name)
        if not isinstance(inner, dict):
            inner = table[name] = {}
        table = inner
    table[key[-1]] = value


def _changed(text: str, layout: Layout, key: Key, value: object) -> str:
    written = encode_value(value)
    for entry in layout.entries:
        if entry.key == key:
            return text[: entry.value_start] + written + text[entry.value_end :]
    table = key[:-1]
    line = f"{dotted(key[-1:])} = {written}\n"
    starts = [header.start for header in layout.headers]
    for header in layout.headers:
        if header.key == table and not header.array:
            following = min((s for s in starts if s > header.start), default=len(text))
            return _inserted(text, layout, header.end, following, line)
    if not table and not layout.headers and not layout.entries:
        return text + ("" if not text or text.endswith("\n") else "\n") + line
    if not table:
        return _inserted(text, layout, 0, min(starts, default=len(text)), line)
    lead = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{lead}[{dotted(table)}]\n{line}"


def _inserted(text: str, layout: Layout, start: int, end: int, line: str) -> str:
    """Put `line` behind the last entry between `start` and `end`, else at `start`."""
    ends = [entry.value_end for entry in layout.entries if start <= entry.start < end]
    place = max(ends, default=start)
    if place:
        newline = text.find("\n", place)
        if newline < 0:
            return f"{text}\n{line}"
        place = newline + 1
    return text[:place] + line + text[place:]
