"""`-c key=value`: one setting on the command line.

The value is read as TOML where it is TOML, and taken as it stands where it is not, so that both
`-c model=gpt-5` and `-c 'model="gpt-5"'` say what they seem to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from octavo.config.keys import Key, parse_key
from octavo.protocol.errors import UsageError

_KEY = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^="'])*""")
_SIMPLE_STRING = re.compile(r'"([^"\\\x00-\x1f\x7f]*)"')
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_MAY_BE_TOML = re.compile(r"[\"'\[{+\-0-9]|(?:inf|nan)$")


def parse_override(text: str) -> tuple[Key, object]:
    """Return the key and the value of one `-c` argument.

    Raises:
        UsageError: there is no `=`, or what stands before it is not a key.
    """
    found = _KEY.match(text)
    end = found.end() if found else 0
    if end >= len(text) or text[end] != "=":
        raise UsageError(f"-c {text!r} is not key=value.", hint="For example: -c model=gpt-5.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"-c {text!r} is not UTF-8 text.") from None
    return parse_key(text[:end].strip()), parse_value(text[end + 1 :].strip())


def parse_value(text: str) -> object:
    """Read `text` as a TOML value, or else as itself. Common values need no TOML parser."""
    if text in ("true", "false"):
        return text == "true"
    simple = _SIMPLE_STRING.fullmatch(text)
    if simple is not None:
        return simple.group(1)
    if _INTEGER.fullmatch(text):
        return int(text)
    if not _MAY_BE_TOML.match(text):
        return text
    import tomllib

    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def as_table(settings: Iterable[tuple[Key, object]]) -> dict[str, object]:
    """Turn keys and values into nested tables; a later one wins."""
    table: dict[str, object] = {}
    for key, value in settings:
        place = table
        for name in key[:-1]:
            inner = place.get(name)
            if not isinstance(inner, dict):
                inner = place[name] = {}
            place = inner
        place[key[-1]] = value
    return table
