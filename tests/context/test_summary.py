"""What is taken for a summary, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.context.summary import HEADINGS, ask_for_summary, compact_prompt, fault_of_summary
from octavo.protocol.errors import ConfigError

GOOD = "\n".join(
    f"{heading}\nSomething that happened, number {n}." for n, heading in enumerate(HEADINGS)
)


def test_a_summary_in_the_form_that_was_asked_for_will_do() -> None:
    assert fault_of_summary(GOOD, 10_000, own_prompt=False) is None
    assert fault_of_summary("Here it is:\n\n" + GOOD.upper(), 10_000, own_prompt=False) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("OK.", "too short"),
        (GOOD + "z" * 400, "longer than what it was to replace"),
        ("I am sorry, but I cannot help with summing this conversation up.", "form"),
        ("\x00\x01\x02" * 40, "not readable"),
        (GOOD + "\nagain and again" * 400, "over and over"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, fault: str) -> None:
    replaced_tokens = 130 if "longer" in fault else 1_000_000

    said = fault_of_summary(text, replaced_tokens, own_prompt=False)

    assert said is not None
    assert fault in said


def test_what_a_persons_own_prompt_asks_for_has_no_known_form() -> None:
    text = "The parser is half mended; the tests of the lexer come next."

    assert fault_of_summary(text, 1_000, own_prompt=True) is None


def test_the_prompt_asks_for_every_heading() -> None:
    asked = ask_for_summary(None).decode()

    assert all(heading in asked for heading in HEADINGS)


def test_the_setting_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "prompt.md"
    file.write_text("\ufeffSum it up.\n")

    assert compact_prompt("Mine.", file) == "Mine."
    assert compact_prompt(None, file) == "Sum it up."
    assert compact_prompt(" ", None) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "does not exist"), (b"", "is empty"), (b"\xff\xfe", "is not UTF-8 text")],
)
def test_a_file_that_cannot_be_used_is_named(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "prompt.md"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ConfigError, match=why):
        compact_prompt(None, file)
