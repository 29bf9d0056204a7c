"""Looking things up in a thread's record."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from octavo.model import Call
from octavo.tools import Entry, Hands, ToolFailed
from octavo.tools.builtin.recall import TOOL, Recall
from octavo.tools.record import SEARCH_S, read_item, search
from octavo.tools.toolbox import Toolbox

pytestmark = pytest.mark.anyio


class Book:
    """A record of texts."""

    def __init__(self, *texts: str | None) -> None:
        self.texts = texts
        self.seen: list[int] = []

    def __len__(self) -> int:
        return len(self.texts)

    def entry(self, number: int) -> Entry | None:
        text = self.texts[number]
        return None if text is None else Entry(number, "the user", text)

    def saw(self, number: int) -> None:
        self.seen.append(number)


def hands(*texts: str | None, limit_tokens: int = 1000) -> Any:
    return SimpleNamespace(
        record=Book(*texts), output_limit_tokens=limit_tokens, labels=frozenset()
    )


async def look(query: str, *texts: str | None, regex: bool = False) -> str:
    return await search(cast(Hands, hands(*texts)), query, regex=regex)


async def test_the_newest_item_with_all_the_words_comes_first_with_its_number() -> None:
    found = await look("port 9001", "the PORT\nis 9001 here", "port 9002", None, "port=9001")

    assert (
        found
        == "Item 3, the user:\n    port=9001\nItem 0, the user:\n    the PORT\n    is 9001 here"
    )


@pytest.mark.parametrize("query", ['"port is"', '"PORT  is" 9001', "ort 900"])
async def test_phrases_and_parts_of_words_are_found_over_line_ends(query: str) -> None:
    assert (await look(query, "the port\nis 9001")).startswith("Item 0")


async def test_a_pattern_is_matched_line_by_line() -> None:
    found = await look(r"^def \w+\(", "def a(\nx = 1\ndef b(", "no def", regex=True)

    assert found == "Item 0, the user:\n    def a(\n    def b("


async def test_nothing_found_says_what_to_try() -> None:
    assert await look("zebra", "a", "b") == (
        "Nothing in the record (2 items) matches. Try fewer words, another spelling, or a part of "
        "a word."
    )


async def test_much_that_matches_is_bounded_and_the_rest_counted() -> None:
    book = hands(*["word " * 500] * 100)

    found = await search(book, "word", regex=False)

    assert len(found) < 20_000
    assert "older items match, too" in found
    assert book.record.seen[0] == 99
    assert len(book.record.seen) < 25


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "(?=a)b",
        r"(a)\1",
        "a*b*c*d",
        "(ab){2,}",
        "a{1,1000}",
        "",
        "x" * 400,
        "a?" * 30 + "a" * 30,
        "a{0,99}" * 4 + "b",
        "(?:a|a)" * 40 + "b",
        "a*a*a?a?a?a?b",
    ],
)
async def test_a_pattern_that_could_take_for_ever_is_refused(pattern: str) -> None:
    with pytest.raises(ToolFailed):
        await look(pattern, "a" * 30, regex=True)


@pytest.mark.parametrize("pattern", ["(", "[a", "*a", "a**"])
async def test_a_pattern_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ToolFailed):
        await look(pattern, "a", regex=True)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\(a\)+",
        r"[*+]{2}",
        r"a+\.b+",
        "(?:ab)?c",
        r"\d{4}-\d{2}",
        r"\w+ *\[x{1,2}\]",
        "(?:Error|Fault): .*parse.*",
    ],
)
async def test_what_cannot_is_not(pattern: str) -> None:
    await look(pattern, "nothing", regex=True)


async def test_the_worst_pattern_that_is_allowed_ends_soon() -> None:
    began = time.monotonic()

    found = await look("a*a*b", *["a" * 100_000] * 50, regex=True)

    assert time.monotonic() - began < 3 * SEARCH_S
    assert "stopped" in found or "Nothing" in found


def test_an_item_is_read_in_pieces_that_join() -> None:
    text = "".join(chr(0x100 + n % 500) for n in range(20_000))
    book = hands(text, limit_tokens=1000)
    pieces, offset = [], 0
    while offset < len(text):
        shown = read_item(book, 0, offset)
        head, _, rest = shown.partition("\n")
        piece = rest.partition("\n[More with offset")[0]
        assert f"characters {offset} to {offset + len(piece)} of 20000" in head
        pieces.append(piece)
        offset += len(piece)

    assert "".join(pieces) == text


@pytest.mark.parametrize(("number", "offset"), [(-1, 0), (2, 0), (1, 0), (0, 99), (0, -1)])
def test_what_is_not_there_is_said(number: int, offset: int) -> None:
    with pytest.raises(ToolFailed):
        read_item(hands("text", None), number, offset)


async def test_the_model_must_say_either_what_or_where() -> None:
    for args in (Recall(), Recall(query="x", item=1)):
        with pytest.raises(ToolFailed, match="Give either"):
            await TOOL.run(args, hands("x"))


async def test_a_key_in_the_record_is_redacted_on_the_way_out() -> None:
    box = Toolbox([TOOL], redact=lambda text: text.replace("sk-secret", "[redacted]"))
    call = Call("c", "recall", '{"query": "key"}')

    outcome = await box.run(call, hands("the key is sk-secret"))

    assert outcome.content == "Item 0, the user:\n    the key is [redacted]"


def test_the_schema_is_that_of_the_parameters() -> None:
    assert TOOL.schema is not None
    assert list(TOOL.schema["properties"]) == list(Recall.__struct_fields__)
