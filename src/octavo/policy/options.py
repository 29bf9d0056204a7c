"""Option grammars of programs that run other programs, and how to walk them.

A grammar says which letters and long names take a value. An option it does not know makes the
command unreadable, as the word behind it may or may not be the program.
"""

from __future__ import annotations

import msgspec

from octavo.policy import Word
from octavo.policy.shell import Unreadable


class Grammar(msgspec.Struct, frozen=True):
    """The options in front of the program a wrapper runs.

    Attributes:
        flags: letters without a value.
        values: letters with one, attached or in the next word.
        attached: letters whose value is attached or missing.
        long_flags: long names without a value, or with one behind `=`.
        long_values: long names with one, behind `=` or in the next word.
        skip: positional words before the program.
        assignments: whether NAME=value words may stand before the program.
        code: options whose value is code of a kind that is not read.
    """

    flags: str = ""
    values: str = ""
    attached: str = ""
    long_flags: tuple[str, ...] = ()
    long_values: tuple[str, ...] = ()
    skip: int = 0
    assignments: bool = False
    code: tuple[str, ...] = ()


class Walked(msgspec.Struct, frozen=True):
    """What stood before the program.

    Attributes:
        rest: the program and its words.
        given: each option with its value; "" where it has none.
        env: assignments.
    """

    rest: tuple[Word, ...]
    given: tuple[tuple[str, Word], ...]
    env: tuple[tuple[str, Word], ...] = ()

    def value(self, *names: str) -> Word | None:
        """Return the last value given to an option."""
        return next((value for name, value in reversed(self.given) if name in names), None)


def walk(name: str, words: tuple[Word, ...], grammar: Grammar) -> Walked:
    """Walk over a wrapper's options.

    Raises:
        Unreadable: an option is not known, or known only when it runs.
    """
    given: list[tuple[str, Word]] = []
    env: list[tuple[str, Word]] = []
    at = 0
    skipped = 0
    dashes = False
    while at < len(words):
        word = words[at]
        option = not dashes and word.literal and word.text.startswith("-") and skipped == 0
        hidden = not word.literal and (not word.one or word.may_be_option)
        if hidden and (not dashes or not word.one or skipped < grammar.skip):
            raise Unreadable(f"the options of `{name}` are known only when it runs")
        if option and word.text == "--":
            dashes = True
            at += 1
        elif option and word.text.startswith("--"):
            at = _long(name, words, at, grammar, given)
        elif option and word.text != "-":
            at = _short(name, words, at, grammar, given)
        elif option:
            at += 1
        elif grammar.assignments and "=" in word.text and not word.text.startswith(("=", "/")):
            variable, _, value = word.text.partition("=")
            env.append((variable, Word(value, word.kind, word.one)))
            at += 1
        elif skipped < grammar.skip:
            skipped += 1
            at += 1
        else:
            break
    for option_name, _ in given:
        if option_name in grammar.code:
            raise Unreadable(f"`{name} {option_name}` runs code that is not read")
    return Walked(words[at:], tuple(given), tuple(env))


def _long(
    name: str, words: tuple[Word, ...], at: int, grammar: Grammar, given: list[tuple[str, Word]]
) -> int:
    text, equals, value = words[at].text.partition("=")
    asked = text[2:]
    flags = [one for one in grammar.long_flags if one.startswith(asked)]
    values = [one for one in grammar.long_values if one.startswith(asked)]
    exact = [one for one in (*flags, *values) if one == asked]
    known = exact or [*flags, *values]
    if len(known) != 1:
        raise Unreadable(f"the option {text} of `{name}` is not known")
    full = known[0]
    if equals or full in grammar.long_flags:
        given.append((f"--{full}", Word(value)))
        return at + 1
    given.append((f"--{full}", _next(name, words, at)))
    return at + 2


def _short(
    name: str, words: tuple[Word, ...], at: int, grammar: Grammar, given: list[tuple[str, Word]]
) -> int:
    letters = words[at].text[1:]
    for index, letter in enumerate(letters):
        rest = letters[index + 1 :]
        if letter in grammar.values and not rest:
            given.append((f"-{letter}", _next(name, words, at)))
            return at + 2
        if letter in grammar.values or letter in grammar.attached:
            given.append((f"-{letter}", Word(rest)))
            return at + 1
        if letter not in grammar.flags:
            raise Unreadable(f"the option -{letter} of `{name}` is not known")
        given.append((f"-{letter}", Word("")))
    return at + 1


def _next(name: str, words: tuple[Word, ...], at: int) -> Word:
    if at + 1 >= len(words):
        raise Unreadable(f"an option of `{name}` has no value")
    if not words[at + 1].one:
        raise Unreadable(f"the options of `{name}` are known only when it runs")
    return words[at + 1]
