"""`-c key=value`: one setting on the command line.

The value is read as TOML where it is TOML, and taken as it stands where it is not, so that both
`-c model=gpt-5` and `-c 'model="gpt-5"'` say what they seem to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from octavo.config.keys import Key, parse_key
from octavo.protocol.errors import UsageError

_KEY = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^="'])*"""
_BEGINS_TOML = frozenset("\"'[{+-0123456789")
_LONGEST_INTEGER = 18


def parse_override(text: str) -> tuple[Key, object]:
    """Return the key and the value of one `-c` argument.

    Raises:
        UsageError: there is no `=`, or what stands before it is not a key.
    """
    end = _end_of_key(text)
    if end >= len(text) or text[end] != "=":
        raise UsageError(f"-c {text!r} is not key=value.", hint="For example: -c model=gpt-5.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"-c {text!r} is not UTF-8 text.") from None
    return parse_key(text[:end].strip()), parse_value(text[end + 1 :].strip())


def _end_of_key(text: str) -> int:
    """Return where the first `=` outside quotes stands; the length of `text` if nowhere."""
    end = text.find("=")
    if '"' in text[:end] or "'" in text[:end]:
        found = re.match(_KEY, text)
        end = found.end() if found else -1
    return end if end >= 0 else len(text)


def parse_value(text: str) -> object:
    """Read `text` as a TOML value, or else as itself. Common values need no TOML parser."""
    if text[:1] not in _BEGINS_TOML and text not in ("true", "false", "inf", "nan"):
        return text
    value = _plain_table(text) if text[0] == "{" else _plain_value(text)
    if value is not None:
        return value
    import tomllib

    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def _plain_table(text: str) -> dict[str, object] | None:
    """Return an inline table of plain values; None if it is, or might be, anything else."""
    table: dict[str, object] = {}
    for member in text[1:-1].split(",") if text[-1] == "}" else [""]:
        key, _, written = member.partition("=")
        key, value = key.strip(" "), _plain_value(written.strip(" "))
        if value is None or key in table or not _is_bare(key):
            return None
        table[key] = value
    return table


def _plain_value(text: str) -> object | None:
    """Return a boolean, an integer, or a string without escapes; None if it is something else."""
    if text in ("true", "false"):
        return text == "true"
    if _is_integer(text):
        return int(text)
    inside = text[1:-1]
    if text == f'"{inside}"' and inside.isprintable() and not {'"', "\\"} & set(inside):
        return inside
    return None


def _is_bare(key: str) -> bool:
    return key.isascii() and key.replace("-", "").replace("_", "").isalnum()


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > _LONGEST_INTEGER:
        return False
    return digits == "0" or digits[0] != "0"


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
