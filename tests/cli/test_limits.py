"""How limits are written on the command line."""

from __future__ import annotations

import pytest

from octavo.cli.limits import budget_flags, read_cost_usd, read_time_s, read_tokens
from octavo.protocol.errors import UsageError


@pytest.mark.parametrize(
    ("text", "usd"), [("0.50", 0.5), ("$2", 2.0), (".05", 0.05), ("1000000", 1e6)]
)
def test_costs(text: str, usd: float) -> None:
    assert read_cost_usd(text) == usd


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("200000", 200_000), ("200_000", 200_000), ("200k", 200_000), ("1.5M", 1_500_000), ("1", 1)],
)
def test_tokens(text: str, tokens: int) -> None:
    assert read_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("0.5s", 0.5), ("1d1s", 86_401)],
)
def test_times(text: str, seconds: float) -> None:
    assert read_time_s(text) == seconds


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        *(
            ("cost", t)
            for t in ("", "0", "-1", "nan", "inf", "1e3", "two", "1.2.3", "2000000", "$")
        ),
        *(("tokens", t) for t in ("", "0", "-1", "1.5", "k", "many", "9999m", "٣")),
        *(("time", t) for t in ("", "0", "s", "10x", "m10", "30m1h", "1s1s", "-5", "1h 5m")),
    ],
)
def test_what_makes_no_sense_is_said_with_a_form_that_does(flag: str, text: str) -> None:
    flags = {"cost": None, "tokens": None, "time": None, flag: text}
    with pytest.raises(UsageError, match=f"--max-{flag} .* Write it as"):
        budget_flags(**flags)
