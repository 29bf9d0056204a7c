"""Reads plain arguments without argparse, whose import and set-up cost a tenth of a start.

A command declares its arguments once, as for argparse; `Quick` takes the same declarations. It
reads only what is certainly right, and then as argparse does (`tests/cli/test_quick.py` compares
them); for everything else, help and mistakes included, `parse` gives None and argparse is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

REMAINDER = "..."
"""As in argparse."""
_ACTIONS = ("store", "store_true", "append")


class _Option:
    def __init__(self, dest: str, action: str, default: Any, choices: Sequence[str] | None) -> None:
        self.dest = dest
        self.action = action
        self.default = default
        self.choices = choices


class Quick:
    """A parser for options that take a value, flags, and any number of words.

    Where argparse's REMAINDER is declared, the words are those from `--` on.
    """

    usage: str | None = None
    epilog: str | None = None

    def __init__(self) -> None:
        self._options: dict[str, _Option] = {}
        self._words: str | None = None
        self._rest: str | None = None

    def add_argument(self, *names: str, **declared: Any) -> None:
        """Declare an argument with argparse's words; those of the help are passed over."""
        if not names[0].startswith("-"):
            if declared.get("nargs") == REMAINDER:
                self._rest = names[0]
            else:
                self._words = names[0]
            return
        action = declared.get("action", "store")
        if action not in _ACTIONS:
            raise ValueError(f"{names[0]}: the action {action!r} is not read quickly")
        long = next((name for name in names if name.startswith("--")), names[0])
        dest = long.lstrip("-").replace("-", "_")
        default = declared.get("default", False if action == "store_true" else None)
        option = _Option(dest, action, default, declared.get("choices"))
        for name in names:
            self._options[name] = option

    def add_argument_group(self, title: str) -> Quick:
        """Groups are for the help only."""
        del title
        return self

    def parse(self, words: Sequence[str]) -> SimpleNamespace | None:
        """Return what argparse would; None when it should be asked."""
        found = {option.dest: option.default for option in self._options.values()}
        plain: list[str] = []
        rest = iter(words)
        for word in rest:
            if word == "--" and self._rest is not None:
                found[self._rest] = [word, *rest]
                break
            if word == "--" or (" " in word.split("=")[0] and word.startswith("-")):
                return None
            if not word.startswith("-") or word == "-":
                plain.append(word)
                continue
            name, value = self._split(word)
            option = self._options.get(name)
            if option is None:
                return None
            if option.action == "store_true":
                if value is not None:
                    return None
                found[option.dest] = True
                continue
            if value is None:
                value = next(rest, None)
                if value is None or (value.startswith("-") and value != "-"):
                    return None
            if option.choices is not None and value not in option.choices:
                return None
            if option.action == "append":
                found[option.dest] = [*found[option.dest], value]
            else:
                found[option.dest] = value
        if self._rest is not None and self._rest not in found:
            return None
        if self._words is not None:
            found[self._words] = plain
        elif plain:
            return None
        return SimpleNamespace(**found)

    def _split(self, word: str) -> tuple[str, str | None]:
        """The option's name, and its value where that is part of the word."""
        if word in self._options:
            return word, None
        name, equals, value = word.partition("=")
        if equals and name in self._options:
            return name, value
        if not word.startswith("--"):
            return word[:2], word[2:]
        return word, None
