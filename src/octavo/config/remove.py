"""Take a table out of a TOML file, leaving the rest of its text alone."""

from __future__ import annotations

from octavo.config.keys import Key, dotted
from octavo.config.toml_text import scan
from octavo.protocol.errors import ConfigError


def remove_table(text: str, key: Key) -> str:
    """Return `text`, valid TOML, without the table `key` and all that is in it.

    Raises:
        ConfigError: it is written in a way that cannot be taken out, such as on one line.
    """
    import tomllib

    wanted = tomllib.loads(text)
    if not _pop(wanted, key):
        return text
    layout = scan(text)
    starts = [header.start for header in layout.headers]
    for header in reversed(layout.headers):
        if header.key[: len(key)] == key:
            end = min((start for start in starts if start > header.start), default=len(text))
            text = _joined(text[: header.start], text[end:])
            starts = [header.start for header in scan(text).headers]
    for entry in reversed(scan(text).entries):
        if entry.key[: len(key)] == key and not entry.inline:
            end = text.find("\n", entry.value_end)
            text = text[: entry.start] + ("" if end < 0 else text[end + 1 :])
    try:
        correct = _without_empty(tomllib.loads(text)) == _without_empty(wanted)
    except tomllib.TOMLDecodeError:
        correct = False
    if not correct:
        raise ConfigError(
            f"{dotted(key)} cannot be taken out of this file automatically.",
            hint="Take it out by hand.",
        )
    return text


def _joined(before: str, after: str) -> str:
    """Return what was around a table, with one empty line between: not one more each time."""
    before, after = before.rstrip("\n"), after.lstrip("\n")
    if not before or not after:
        return f"{before}\n" if before else after
    return f"{before}\n\n{after}"


def _pop(table: dict[str, object], key: Key) -> bool:
    for name in key[:-1]:
        inner = table.get(name)
        if not isinstance(inner, dict):
            return False
        table = inner
    return table.pop(key[-1], None) is not None


def _without_empty(table: dict[str, object]) -> dict[str, object]:
    """Return a table without the tables in it that hold nothing."""
    kept = {
        name: _without_empty(value) if isinstance(value, dict) else value
        for name, value in table.items()
    }
    return {name: value for name, value in kept.items() if value != {}}
