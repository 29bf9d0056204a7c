"""The parser of server-sent events, byte by byte."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.model.sse import Event, SseParser
from octavo.protocol.errors import StreamCut

_PIECES = st.sampled_from(
    [
        b"\n", b"\r", b"\r\n", b"data: x", b"data:", b"data:  y", b"data", b"event: e", b"event:",
        b": comment", b"id: 7", b"retry: 1", b"nonsense", b"data: \xc3\xa9\xf0\x9f\x8e\xb5", b" ",
        b":", b"\xef\xbb\xbf", b"data: {\"a\":1}", b"\n\n",
    ]
)  # fmt: skip


def _in_one(stream: bytes) -> list[Event]:
    return SseParser().feed(stream)


def _by_the_book(stream: bytes) -> list[Event]:
    """The specification's algorithm, line by line, on a whole stream."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    events: list[Event] = []
    name, data = b"", []
    for line in lines[:-1]:
        if not line:
            if data:
                events.append((name, b"\n".join(data)))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event" and b":" in line:
            name = value
    return events


@given(st.lists(_PIECES, max_size=30).map(b"".join), st.data())
def test_however_the_bytes_are_cut_the_events_are_those_of_the_specification(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    edges = [0, *cuts, len(stream)]
    parser = SseParser()

    events = [
        event
        for start, end in itertools.pairwise(edges)
        for event in parser.feed(stream[start:end])
    ]

    # A stream may begin with one byte order mark, and may end inside one.
    if len(stream) >= 3 or not b"\xef\xbb\xbf".startswith(stream):
        assert events == _by_the_book(stream)


@given(st.lists(_PIECES, max_size=20).map(b"".join))
def test_single_bytes_give_the_events_of_the_whole(stream: bytes) -> None:
    parser = SseParser()

    events = [event for byte in stream for event in parser.feed(bytes([byte]))]

    assert events == _in_one(stream)


def test_an_event_comes_out_with_the_byte_that_ends_it() -> None:
    parser = SseParser()

    assert parser.feed(b"data: x\r\n") == []
    assert parser.feed(b"\r") == [(b"", b"x")]
    assert parser.feed(b"\ndata: y\n\n") == [(b"", b"y")]


def test_a_line_end_of_two_bytes_may_be_split_between_them() -> None:
    parser = SseParser()

    events = [e for piece in (b"data: x\r", b"\ndata: y\r\n\r", b"\n") for e in parser.feed(piece)]

    assert events == [(b"", b"x\ny")]


def test_lines_of_data_are_joined_and_comments_are_not_events() -> None:
    assert _in_one(b": hello\n\nevent: e\ndata: a\ndata:b\n: c\n\n") == [(b"e", b"a\nb")]


def test_a_byte_order_mark_is_skipped_even_in_pieces() -> None:
    parser = SseParser()

    assert [parser.feed(piece) for piece in (b"\xef", b"\xbb", b"\xbfdata: x\n\n")] == [
        [],
        [],
        [(b"", b"x")],
    ]


def test_an_event_that_never_ends_is_refused() -> None:
    parser = SseParser(max_event_bytes=100)
    parser.feed(b"data: " + b"x" * 90)

    with pytest.raises(StreamCut, match="more than 100 bytes"):
        parser.feed(b"x" * 10)
