"""Tool calls in every way that servers write them: the same calls come out."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.model import Call, Chunk, ItemDone
from octavo.model.providers.chat_reading import Reading
from octavo.model.providers.spoken import declared
from octavo.model.sse import SseParser
from tests.model.asking import provider_of

NAMES = ("exec_command", "write_stdin", "view_image", "update_plan")
TOOLS = declared(msgspec.json.encode([{"type": "function", "name": name} for name in NAMES]))
A, B = '{"cmd":"ls"}', '{"path":"ä/\\n"}'


def fragment(index: int | None = None, id: str | None = None, **function: Any) -> dict[str, Any]:
    """A piece of a call, without what is not given."""
    whole = {"index": index, "id": id, "function": function}
    return {name: value for name, value in whole.items() if value is not None}


def stream_of(*chunks: list[dict[str, Any]], reason: str = "tool_calls") -> bytes:
    """The bytes of an answer whose chunks bring these fragments."""
    deltas = [{"choices": [{"delta": {"tool_calls": fragments}}]} for fragments in chunks]
    end = {"choices": [{"delta": {}, "finish_reason": reason}]}
    events = [b"data: %b\n\n" % msgspec.json.encode(event) for event in (*deltas, end)]
    return b"".join([*events, b"data: [DONE]\n\n"])


def read(stream: bytes, cuts: list[int] | None = None) -> list[Chunk]:
    """Read a stream that arrives cut at these places."""
    parser, reading = SseParser(), Reading(provider_of("http://x/v1"), "m", TOOLS)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    chunks: list[Chunk] = []
    for start, end in itertools.pairwise(places):
        for event in parser.feed(stream[start:end]):
            chunks += reading.read(event)
    return chunks


def calls(chunks: list[Chunk]) -> list[Call]:
    """Return the calls among `chunks`."""
    return [c.call for c in chunks if isinstance(c, ItemDone) and c.call is not None]


def pairs(chunks: list[Chunk]) -> list[tuple[str, str]]:
    """Return names and arguments."""
    return [(call.name, call.arguments) for call in calls(chunks)]


BOTH = [("exec_command", A), ("view_image", B)]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(
            [
                [fragment(0, "a", name="exec_command", arguments="")],
                [fragment(0, arguments=A[:4])],
                [fragment(1, "b", name="view_image", arguments="")],
                [fragment(1, arguments=B[:5]), fragment(0, arguments=A[4:])],
                [fragment(1, arguments=B[5:])],
            ],
            id="interleaved, as OpenAI writes them",
        ),
        pytest.param(
            [
                [
                    fragment(0, "a", name="exec_command", arguments=A),
                    fragment(1, "b", name="view_image", arguments=B),
                ]
            ],
            id="whole calls in one chunk",
        ),
        pytest.param(
            [
                [fragment(0, "a", name="exec_command", arguments=A)],
                [fragment(0, "b", name="view_image", arguments=B)],
            ],
            id="index 0 for all",
        ),
        pytest.param(
            [
                [fragment(None, "a", name="exec_command", arguments=A)],
                [fragment(None, "b", name="view_image", arguments=B)],
            ],
            id="no index",
        ),
        pytest.param(
            [
                [
                    fragment(None, name="exec_command", arguments=A),
                    fragment(None, name="view_image", arguments=B),
                ]
            ],
            id="neither index nor id",
        ),
        pytest.param(
            [
                [fragment(0, name="exec_command", arguments=A)],
                [fragment(0, name="view_image", arguments=B)],
            ],
            id="index 0 for all and no id",
        ),
        pytest.param(
            [
                [fragment(None, "a", name="exec_command", arguments="")],
                [fragment(None, "b", name="view_image", arguments="")],
                [fragment(None, "a", arguments=A)],
                [fragment(None, "b", arguments=B)],
            ],
            id="told apart by id alone",
        ),
        pytest.param(
            [
                [fragment(0, name="exec_", arguments="")],
                [fragment(0, name="command")],
                [fragment(0, "a", arguments=A)],
                [fragment(1, name="view")],
                [fragment(1, name="_image", arguments=B[:3])],
                [fragment(1, "b", arguments=B[3:])],
            ],
            id="names in pieces, ids late",
        ),
        pytest.param(
            [
                [fragment(0, "a", name="exec_command", arguments=A[:3])],
                [fragment(0, "a", name="exec_command", arguments=A[3:])],
                [fragment(1, "b", name="view", arguments="")],
                [fragment(1, "b", name="view_image", arguments=B)],
            ],
            id="names repeated, or growing",
        ),
        pytest.param(
            [
                [fragment(0, "a", name="exec_command", arguments=A[:3])],
                [fragment(0, "x1", arguments=A[3:5])],
                [fragment(0, "x2", arguments=A[5:])],
                [fragment(1, "b", name="view_image", arguments=B)],
            ],
            id="another id in each fragment",
        ),
        pytest.param(
            [
                [fragment(0, "a", name="exec_command", arguments=msgspec.Raw(A.encode()))],
                [fragment(1, "b", name="view_image", arguments=msgspec.Raw(B.encode()))],
            ],
            id="arguments as objects",
        ),
    ],
)
def test_two_calls_are_two_calls(chunks: list[list[dict[str, Any]]]) -> None:
    read_calls = read(stream_of(*chunks))

    assert pairs(read_calls) == BOTH
    assert len({call.call_id for call in calls(read_calls)}) == 2


@pytest.mark.parametrize("arguments", ["", None])
def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    whole = fragment(0, "a", name="update_plan", arguments=arguments)

    assert pairs(read(stream_of([whole]))) == [("update_plan", "{}")]


def test_the_function_call_of_old_is_understood() -> None:
    event = {"choices": [{"delta": {"function_call": {"name": "view_image", "arguments": B}}}]}
    stream = b"data: %b\n\ndata: [DONE]\n\n" % msgspec.json.encode(event)

    assert pairs(read(stream)) == [("view_image", B)]


@st.composite
def _answers(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[list[dict[str, Any]]]]:
    """Calls, and chunks that bring them: cut anywhere, in any order but each one's own."""
    asked = draw(
        st.lists(
            st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(), st.text(), max_size=2)),
            min_size=1,
            max_size=4,
        )
    )
    wanted = [(name, msgspec.json.encode(given).decode()) for name, given in asked]
    queues: list[list[dict[str, Any]]] = []
    for index, (name, arguments) in enumerate(wanted):
        cut = draw(st.integers(0, len(name) - 1))
        names = [name[:cut], name[cut:]] if cut else [name]
        queue = [fragment(index, name=piece) for piece in names]
        queue[draw(st.integers(0, len(queue) - 1))]["id"] = f"id{index}"
        size = draw(st.integers(1, max(1, len(arguments))))
        for start in range(0, len(arguments), size):
            queue.append(fragment(index, arguments=arguments[start : start + size]))
        queues.append(queue)
    first = [queue[0] for queue in queues]
    rest = [queue[1:] for queue in queues]
    order = draw(st.permutations([n for n, queue in enumerate(rest) for _ in queue]))
    fragments = [*first, *(rest[n].pop(0) for n in order)]
    chunks, at = [], 0
    while at < len(fragments):
        size = draw(st.integers(1, 4))
        chunks.append(fragments[at : at + size])
        at += size
    return wanted, chunks


@given(_answers(), st.lists(st.integers(0, 5000), max_size=8))
def test_however_calls_are_cut_and_mixed_the_same_ones_come_out(
    made: tuple[list[tuple[str, str]], list[list[dict[str, Any]]]], cuts: list[int]
) -> None:
    wanted, chunks = made

    assert pairs(read(stream_of(*chunks), cuts)) == wanted
