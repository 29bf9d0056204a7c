"""Where things stand in the text of a TOML file.

`tomllib` tells what a file says but not where. `scan` tells where: for messages that name a line,
and for edits that leave a person's comments and order alone. It reads only text that `tomllib`
has accepted, so it checks nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from octavo.config.keys import Key

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\]|\\.)*)"')
_LITERAL = re.compile(r"'([^']*)'")
_LONG = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' + r"|'''.*?'{3,5}(?!')", re.DOTALL)
_PLAIN = re.compile(r"[^,\]}#\r\n]*")


class Entry(Struct, frozen=True):
    """One `key = value`. Offsets count characters; the value is `text[value_start:value_end]`."""

    key: Key
    start: int
    value_start: int
    value_end: int
    inline: bool = False
    """It stands inside `{ … }`."""


class Header(Struct, frozen=True):
    """One `[table]` or `[[table]]` line; `end` is where the line ends."""

    key: Key
    start: int
    end: int
    array: bool = False


class Layout(Struct, frozen=True):
    """Everything `scan` found, in the order of the text."""

    entries: tuple[Entry, ...]
    headers: tuple[Header, ...]

    def offset(self, key: Key) -> int | None:
        """Where `key`, or else the first thing inside it, is set."""
        places = [entry.start for entry in self.entries if entry.key == key]
        places += [header.start for header in self.headers if header.key == key]
        if not places:
            places = [e.start for e in self.entries if e.key[: len(key)] == key]
            places += [h.start for h in self.headers if h.key[: len(key)] == key]
        return min(places, default=None)


def scan(text: str) -> Layout:
    """Return where every key and table of a valid TOML `text` stands."""
    return _Scanner(text).scan()


def locate(file: Path, key: Key) -> tuple[int, int] | None:
    """Return line and column, from 1, where `file` sets `key`; None if that cannot be told."""
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
    try:
        offset = scan(text).offset(key)
    except (IndexError, RecursionError):
        return None
    return None if offset is None else line_and_column(text, offset)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column of a place in `text`, both from 1."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._entries: list[Entry] = []
        self._headers: list[Header] = []

    def scan(self) -> Layout:
        table: Key = ()
        while self._skip(_GAP) < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._entry(table, inline=False)
        return Layout(tuple(self._entries), tuple(self._headers))

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return self._at

    def _header(self) -> Key:
        start = self._at
        array = self._text.startswith("[[", start)
        self._at += 2 if array else 1
        key = self._key()
        self._at += 2 if array else 1
        end = self._text.find("\n", self._at)
        end = len(self._text) if end < 0 else end
        self._headers.append(Header(key, start, end, array))
        return key

    def _key(self) -> Key:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            parts.append(self._name())
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _name(self) -> str:
        for pattern in (_BARE, _LITERAL, _BASIC):
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return _unescaped(found) if pattern is _BASIC else found.group(found.lastindex or 0)
        raise IndexError(f"no key at {self._at}")

    def _entry(self, table: Key, *, inline: bool) -> None:
        start = self._at
        key = table + self._key()
        self._at += 1
        value_start = self._skip(_SPACE)
        place = len(self._entries)
        self._value(key)
        self._entries.insert(place, Entry(key, start, value_start, self._at, inline))

    def _value(self, key: Key) -> None:
        first = self._text[self._at]
        if first == "[":
            self._at += 1
            while self._text[self._skip(_GAP)] != "]":
                self._value(key)
            self._at += 1
        elif first == "{":
            self._at += 1
            while self._text[self._skip(_GAP)] != "}":
                self._entry(key, inline=True)
            self._at += 1
        else:
            self._scalar()

    def _scalar(self) -> None:
        for pattern in (_LONG, _BASIC, _LITERAL):
            found = pattern.match(self._text, self._at)
            if found is not None:
                self._at = found.end()
                return
        found = _PLAIN.match(self._text, self._at)
        assert found is not None
        self._at += len(found.group().rstrip())


def _unescaped(found: re.Match[str]) -> str:
    inside: str = found.group(1)
    if "\\" not in inside:
        return inside
    import tomllib

    name: str = tomllib.loads(f"k = {found.group()}")["k"]
    return name
