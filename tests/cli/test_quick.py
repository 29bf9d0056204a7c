"""Arguments read without argparse mean what they mean to argparse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.cli import exec as exec_command
from octavo.cli import sandbox as sandbox_command
from octavo.cli.parser import Parser
from octavo.cli.quick import Quick
from octavo.protocol.errors import UsageError

QUICK: Any = Quick()
exec_command.add_arguments(QUICK)

SANDBOX: Any = Quick()
sandbox_command.add_arguments(SANDBOX)

WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *("-m", "--model", "--model=x", "-mx", "-m=x", "--oss", "--json", "-s"),
                *("read-only", "--sandbox=read-only", "--sandbox", "nonsense", "-i", "--image"),
                *("a.png", "-c", "model=1", "--config=a=b", "-C", "/tmp", "--add-dir", "--last"),
                *("resume", "-", "--", "-x", "--unknown", "-1", "- list", "-h", "--js", "=", ""),
                *("--experimental-json", "--color", "auto", "-ofile", "--yolo", "--yolo=1"),
                *("fix it", "--model=a b", "-m a", "--thread-source", "sdk"),
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=7,
)


@given(WORDS)
def test_what_is_read_quickly_is_what_argparse_reads(words: list[str]) -> None:
    found = QUICK.parse(words)
    if found is None:
        return
    parser = Parser(prog="octavo exec")
    exec_command.add_arguments(parser)

    assert vars(found) == vars(parser.parse_intermixed_args(words))


@pytest.mark.parametrize(
    "words",
    [
        ["fix the failing test"],
        ["--json", "-m", "gpt-5.5", "--sandbox", "read-only", "--cd", "/tmp", "hi"],
        ["--experimental-json", "--config", 'a="b"', "resume", "01a2", "--image", "a.png"],
        ["-"],
        [],
    ],
)
def test_ordinary_arguments_are_read_quickly(words: list[str]) -> None:
    assert QUICK.parse(words) is not None


SANDBOX_WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "-s",
                    "--mode",
                    "--mode=read-only",
                    "read-only",
                    "-sread-only",
                    "--network",
                    "off",
                ),
                *("--tmp", "private", "--add-dir", "/tmp", "-P", "name", "-p", "-c", "a=b", "-C"),
                *("--", "true", "explain", "-x", "--unknown", "-h", "", "--network=a,*.b", "--mod"),
            ]
        ),
        st.text(max_size=4),
    ),
    max_size=7,
)


@given(SANDBOX_WORDS)
def test_a_command_for_the_sandbox_is_read_quickly_as_argparse_reads_it(words: list[str]) -> None:
    found = SANDBOX.parse(words)
    if found is None:
        return
    parser = Parser(prog="octavo sandbox")
    sandbox_command.add_arguments(parser)

    assert vars(found) == vars(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "is_quick"),
    [
        (["--", "true"], True),
        (["--mode", "read-only", "--network=off", "--", "sh", "-c", "x", "--"], True),
        (["true"], False),
        (["explain", "--", "true"], False),
        (["--help"], False),
        ([], False),
    ],
)
def test_what_follows_two_dashes_is_the_command(words: list[str], is_quick: bool) -> None:
    assert (SANDBOX.parse(words) is not None) == is_quick


@pytest.mark.parametrize("words", [["--help"], ["-m"], ["-s", "nonsense"], ["--nope"], ["--", "x"]])
def test_help_and_mistakes_are_argparse_s(words: list[str]) -> None:
    assert QUICK.parse(words) is None


def test_two_readings_of_one_list_do_not_mix() -> None:
    QUICK.parse(["-i", "a.png"])

    assert QUICK.parse([]).image == []


def test_a_mistake_is_still_said_in_one_sentence() -> None:
    parser = Parser(prog="octavo exec")
    exec_command.add_arguments(parser)

    with pytest.raises(UsageError, match="expected one argument"):
        parser.parse_intermixed_args(["-m"])
