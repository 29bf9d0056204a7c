"""What a program prints is cut into messages, whatever it prints and however it arrives."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcp")

from octavo.mcp.pipes import Lines

LIMIT = 1_000
MESSAGE = {"jsonrpc": "2.0", "id": 7, "result": {"a": "b"}}


def shown(lines: Lines, *pieces: bytes) -> list[str]:
    """The messages of these pieces, one after the other, as JSON."""
    return [
        message.message.model_dump_json(by_alias=True, exclude_unset=True)
        for piece in pieces
        for message in lines.feed(piece)
    ]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.just(json.dumps(MESSAGE).encode()),
            st.integers(900, 1_200).map(
                lambda n: json.dumps({**MESSAGE, "id": 9, "x": "y" * n}).encode()
            ),
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 9_000), max_size=8),
)
def test_messages_are_the_same_wherever_they_are_cut(printed: list[bytes], cuts: list[int]) -> None:
    data = b"\n".join([*printed, b""])
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[start:end] for start, end in pairwise(places)]

    whole = shown(Lines(LIMIT), data)

    assert shown(Lines(LIMIT), *pieces) == whole
    ours = json.dumps(MESSAGE, separators=(",", ":"))
    assert whole.count(ours) == printed.count(json.dumps(MESSAGE).encode())


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": 7, "result": {"x": "y" * 2 * LIMIT}},
        {"jsonrpc": "2.0", "result": {"x": "y" * 9_000}, "id": 7},
    ],
)
def test_who_waits_for_a_message_that_is_too_long_is_answered(message: object) -> None:
    long = json.dumps(message).encode() + b"\n"
    after = json.dumps({**MESSAGE, "id": 8}).encode() + b"\n"

    refused, taken = (json.loads(one) for one in shown(Lines(LIMIT), long + after))

    assert refused["id"] == 7
    assert "at most" in refused["error"]["message"]
    assert taken["id"] == 8


def test_one_that_names_nobody_is_passed_over() -> None:
    assert shown(Lines(LIMIT), b"x" * 5_000 + b"\n", json.dumps(MESSAGE).encode() + b"\n") != []
