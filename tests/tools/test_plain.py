"""What becomes of raw terminal output on its way to a reader."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.tools.plain import Plain, plain


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b[1;31mred\x1b[0m\n", "red\n"),
        (b"\x1b]0;a title\x07after", "after"),
        (b"\x1b]8;;https://x.invalid\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1bP1$r0m\x1b\\done", "done"),
        (b"\x1b(Bplain\x1b=\x1b7", "plain"),
        (b"\xc2\x9b31mC1", "C1"),
        (b"bell\x07 null\x00 tab\t", "bell null tab\t"),
        (b"N\x08NA\x08AM\x08ME\x08E", "NAME"),
        (b"\x1b]never closed\nnext line", "never closed\nnext line"),
        (b"ends in \x1b[3", "ends in 3"),
    ],
)
def test_escape_sequences_and_control_characters_are_taken_out(data: bytes, text: str) -> None:
    assert plain(data) == text


def test_windows_line_ends_become_plain_ones() -> None:
    assert plain(b"a\r\nb\r\n") == "a\nb\n"


def test_a_progress_bar_keeps_only_its_last_state() -> None:
    bar = b"".join(b"Receiving objects: %3d%% (%d/100)\r" % (n, n) for n in range(101))
    assert plain(bar + b"\ndone\n") == "Receiving objects: 100% (100/100)\ndone\n"
    assert plain(b" 10%|#    |\r 60%|###  |\r100%|#####|\n") == "100%|#####|\n"


def test_different_lines_that_a_carriage_return_separates_are_all_kept() -> None:
    assert plain(b"first words\rother text\rlast line\n") == "first words\nother text\nlast line\n"


def test_invalid_utf8_becomes_the_replacement_character() -> None:
    assert plain(b"ok \xff\xfe caf\xc3") == "ok \ufffd\ufffd caf\ufffd"


def test_what_is_cut_in_two_waits_for_its_other_half() -> None:
    stream = Plain()
    pieces = [b"caf\xc3", b"\xa9 \x1b[3", b"1mred\x1b]0;ti", b"tle\x1b", b"\\.\r", b"\n"]
    assert "".join(map(stream.feed, pieces)) == "café red.\n"


@given(st.lists(st.sampled_from([*map(bytes, zip(range(256)))]) | st.binary(max_size=6)))
def test_any_bytes_give_text_without_control_characters(pieces: list[bytes]) -> None:
    text = plain(b"".join(pieces))
    assert not [c for c in text if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160]


_pieces = st.lists(
    st.sampled_from(
        [
            *(b"\x1b", b"[", b"]", b"P", b"31", b";", b"m", b"\x07", b"\\", b"\n", b"word"),
            *(b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", b"(B", b"\x00"),
        ]
    ),
    max_size=30,
)


@given(_pieces)
def test_it_does_not_matter_where_a_stream_is_cut(pieces: list[bytes]) -> None:
    stream = Plain()
    fed = "".join(map(stream.feed, pieces)) + stream.feed(b"", final=True)
    assert fed == plain(b"".join(pieces))


@pytest.mark.parametrize(
    "unit", [b"\x1b[", b"\x1b]0;", b"\x1b]0;\x1b", b"\r", b"a\r", b"\x08", b"\x9b"]
)
def test_hostile_output_takes_linear_time(unit: bytes) -> None:
    data = unit * (300_000 // len(unit))
    began = time.monotonic()
    plain(data)
    assert time.monotonic() - began < 3
