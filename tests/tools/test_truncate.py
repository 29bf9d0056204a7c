"""How a long output is shown."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from octavo.tools.truncate import Gap, count_tokens, truncate, truncate_ends

_MARKER = re.compile(
    r"\n?\[… (?:([\d,]+) lines? \()?([\d,]+) tokens?\)? left out here(?:; .*)? …\]\n"
)
_texts = st.text(alphabet=st.sampled_from("ab é€😀\n"), max_size=400)


def test_a_text_within_the_limit_is_left_alone() -> None:
    assert truncate("one\ntwo\n", 2) == "one\ntwo\n"


def test_a_long_text_keeps_whole_lines_of_both_ends_and_says_what_is_missing() -> None:
    text = "".join(f"line {n:04}\n" for n in range(1000))

    shown = truncate(text, 25, kept_in="all of it is in /x/out.txt")

    assert shown == (
        "line 0000\nline 0001\nline 0002\nline 0003\nline 0004\n"
        "[… 990 lines (2,475 tokens) left out here; all of it is in /x/out.txt …]\n"
        "line 0995\nline 0996\nline 0997\nline 0998\nline 0999\n"
    )


def test_a_single_huge_line_is_cut_inside() -> None:
    shown = truncate("x" * 100_000, 100)
    assert shown == "x" * 200 + "\n[… 24,900 tokens left out here …]\n" + "x" * 200


def test_a_character_is_never_cut_in_two() -> None:
    shown = truncate("€" * 1000, 10)
    assert set(shown.split("\n")[0]) == set(shown.split("\n")[-1]) == {"€"}


def test_a_gap_that_is_already_there_is_counted_too() -> None:
    shown = truncate_ends("a\n" * 10, "z\n" * 10, 4, gap=Gap(4000, 500))
    assert shown == "a\na\na\na\n[… 512 lines (1,006 tokens) left out here …]\nz\nz\nz\nz\n"


def test_a_limit_of_nothing_shows_only_what_is_missing() -> None:
    assert truncate("word\n" * 4, 0) == "[… 4 lines (5 tokens) left out here …]\n"


def test_half_a_surrogate_pair_does_not_break_the_output() -> None:
    assert truncate("bad \udcff name", 100) == "bad ? name"


@given(_texts, st.integers(0, 120))
def test_what_is_shown_is_bounded_and_is_the_two_ends(text: str, limit: int) -> None:
    shown = truncate(text, limit)
    if count_tokens(len(text.encode())) <= limit:
        assert shown == text
        return
    found = _MARKER.search(shown)
    assert found
    head, tail = shown[: found.start()], shown[found.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head.encode()) + len(tail.encode()) <= limit * 4
    assert len(shown.encode()) <= limit * 4 + 120
