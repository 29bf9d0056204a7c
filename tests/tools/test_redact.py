"""Keys in outputs: which are taken out, and what stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.tools.redact import REDACTED, redactor, secret_values

_shapes = redactor([])
_hex = "0123456789abcdef" * 4
_mixed = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5h"


@pytest.mark.parametrize(
    "key",
    [
        "sk-" + _mixed,
        "sk-proj-" + _mixed,
        "sk-ant-api03-" + _mixed,
        "ghp_" + _mixed,
        "github_pat_" + _mixed,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "xoxb-" + "123456789012-abcdef",
        "AIza" + _mixed[:35],
        "glpat-" + _mixed[:20],
        "eyJ" + _mixed + ".eyJ" + _mixed + "." + _mixed,
    ],
)
def test_keys_of_well_known_shape_are_taken_out(key: str) -> None:
    assert _shapes(f'token = "{key}"\n') == f'token = "{REDACTED}"\n'


def test_a_private_key_is_taken_out_whole_also_when_its_end_is_missing() -> None:
    begin, end = "-----BEGIN RSA PRIVATE" + " KEY-----", "-----END RSA PRIVATE" + " KEY-----"
    assert _shapes(f"a\n{begin}\nMIIE\nabc\n{end}\nb") == f"a\n{REDACTED}\nb"
    assert _shapes(f"a\n{begin}\nMIIE\nabc") == f"a\n{REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-contrib-and-other-packages",
        "task-1234567890123456789012345",
        "the eyJourney begins",
        "-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----",
        "commit " + _hex,
    ],
)
def test_what_only_resembles_a_key_stays(text: str) -> None:
    assert _shapes(text) == text


def test_values_of_secret_variables_are_taken_out_and_ordinary_ones_are_not() -> None:
    env = {
        "MY_API_KEY": "Zx81-spectrum",
        "DB_PASSWORD": "correcthorse",
        "SHORT_TOKEN": "abc123",
        "TOKENIZERS_PARALLELISM": "disabled",
        "SSH_KEY_FILE": "/home/u/.ssh/id",
        "EDITOR": "vim-with-options-1",
    }
    assert secret_values(env) == ["Zx81-spectrum", "correcthorse"]
    assert redactor(secret_values(env))("a Zx81-spectrum, correcthorse; disabled") == (
        f"a {REDACTED}, {REDACTED}; disabled"
    )


@given(st.text(), st.text(), st.text(min_size=8).filter(lambda s: s not in REDACTED))
def test_a_known_secret_never_survives(before: str, after: str, secret: str) -> None:
    assert secret not in redactor([secret])(before + secret + after).replace(REDACTED, "")


@given(st.text(alphabet="abc \n.", max_size=200))
def test_a_text_without_secrets_is_the_very_same_object(text: str) -> None:
    assert _shapes(text) is text


@pytest.mark.parametrize(
    "unit",
    [
        "sk-",
        "eyJ",
        "eyJaaaaaaaaaaaaaaa.",
        "AKIA",
        "-----BEGIN PRIVATE" + " KEY-----",
        "xoxb-",
        "a_",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    text = unit * (300_000 // len(unit))
    began = time.monotonic()
    _shapes(text)
    assert time.monotonic() - began < 3
