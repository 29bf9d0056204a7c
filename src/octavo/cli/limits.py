"""`--max-cost`, `--max-tokens`, `--max-time` and `--goal-tokens`, read."""

from __future__ import annotations

from math import isfinite

from octavo.protocol.errors import UsageError

_UNITS_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_MULTIPLES = {"k": 1_000, "m": 1_000_000}
MOST_USD = 1_000_000.0
MOST_TOKENS = 1_000_000_000
MOST_TIME_S = 100_000_000.0


def budget_flags(cost: str | None, tokens: str | None, time: str | None) -> dict[str, object]:
    """Return the settings that the flags stand for; None is a flag that was not given.

    Raises:
        UsageError: one of them cannot be read.
    """
    return {
        "budget.turn.max_cost_usd": None if cost is None else read_cost_usd(cost),
        "budget.turn.max_tokens": None if tokens is None else read_tokens(tokens),
        "budget.turn.max_time_s": None if time is None else read_time_s(time),
    }


def read_cost_usd(text: str) -> float:
    """Read an amount of dollars: `0.50`, `$2`."""
    usd = _number(text.strip().removeprefix("$"))
    if usd is None or not 0 < usd <= MOST_USD:
        raise UsageError(
            f"--max-cost {text!r} is no amount of dollars.", hint="Write it as 0.50 or 2."
        )
    return usd


def of_all_turns(flags: dict[str, object]) -> dict[str, object]:
    """Return limits of a turn as those of a new thread, which goes on by itself.

    Raises:
        UsageError: they limit the time, which only a turn's does.
    """
    if flags["budget.turn.max_time_s"] is not None:
        raise UsageError(
            "--max-time limits one turn, and a goal takes many.",
            hint="Limit the goal with --goal-tokens, or all of it with --max-cost.",
        )
    names = ("max_cost_usd", "max_tokens")
    return {f"budget.thread.{name}": flags[f"budget.turn.{name}"] for name in names}


def read_tokens(text: str, flag: str = "--max-tokens") -> int:
    """Read a number of tokens: `200000`, `200_000`, `200k`, `1.5m`."""
    word = text.strip().lower().replace("_", "").replace(",", "")
    factor = _MULTIPLES.get(word[-1:], 1)
    number = _number(word[:-1] if factor > 1 else word)
    tokens = None if number is None else number * factor
    if tokens is None or tokens != int(tokens) or not 0 < tokens <= MOST_TOKENS:
        raise UsageError(
            f"{flag} {text!r} is no number of tokens.", hint="Write it as 200000 or 200k."
        )
    return int(tokens)


def read_time_s(text: str) -> float:
    """Read a length of time: `90`, `90s`, `10m`, `1h30m`, in seconds without a unit."""
    word = text.strip().lower()
    total_s, digits, units = 0.0, "", list(_UNITS_S)
    for character in word if word[-1:] in _UNITS_S else word + "s":
        if character not in _UNITS_S:
            digits += character
            continue
        number = _number(digits)
        if number is None or character not in units:
            raise _no_time(text)
        total_s += number * _UNITS_S[character]
        del units[: units.index(character) + 1]  # from long to short, each once
        digits = ""
    if not 0 < total_s <= MOST_TIME_S:
        raise _no_time(text)
    return total_s


def _no_time(text: str) -> UsageError:
    return UsageError(
        f"--max-time {text!r} is no length of time.", hint="Write it as 90s, 10m or 1h30m."
    )


def _number(text: str) -> float | None:
    if not text or not text.isascii() or any(c not in "0123456789." for c in text):
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None
