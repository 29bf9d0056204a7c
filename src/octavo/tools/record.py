"""Searching and reading a thread's record, for the tool `recall`.

A search never takes long, whatever the model asks for and the record holds: patterns that could
take for ever are refused, lines are looked at in pieces, and after some seconds it says that it did
not get to the end.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import anyio.lowlevel

from octavo.tools import Entry, Hands, ToolFailed

ITEMS_SHOWN = 20
LINES_SHOWN = 4
"""Of one item."""
LINE_CHARS = 300
SEARCH_S = 2.0
PATTERN_CHARS = 300
PIECE_CHARS = 400
"""A line is matched in pieces of this length, each with half of the one before."""
_UNBOUNDED_LIMIT = 2
_WAYS_LIMIT = 2 * PIECE_CHARS**_UNBOUNDED_LIMIT
"""In how many ways a pattern may be tried at one place."""
_YIELD_EVERY = 200

Match = Callable[[str, float], "list[str]"]
"""The lines of a text that match, shortened around the match; none when the item does not.
Raises TimeoutError at the given moment."""


async def search(hands: Hands, query: str, *, regex: bool) -> str:
    """Return the items that match, newest first, with their matching lines.

    Raises:
        ToolFailed: there is nothing to look for, or the pattern cannot be used.
    """
    match = _pattern(query) if regex else _words(query)
    record = hands.record
    budget_chars = hands.output_limit_tokens * 3
    found: list[str] = []
    more = 0
    ends_at = time.monotonic() + SEARCH_S
    for number in range(len(record) - 1, -1, -1):
        if number % _YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()
        entry = record.entry(number)
        try:
            lines = [] if entry is None else match(entry.text, ends_at)
        except TimeoutError:
            found.append(f"[The search was stopped after {SEARCH_S:g} s, at item {number}.]")
            break
        if entry is None or not lines:
            continue
        shown = _listed(entry, lines)
        if len(found) >= ITEMS_SHOWN or len(shown) > budget_chars:
            more += 1
            continue
        budget_chars -= len(shown)
        record.saw(number)
        found.append(shown)
    if more:
        found.append(f"[{more} older items match, too. Look for something narrower to see them.]")
    if not found:
        return (
            f"Nothing in the record ({len(record)} items) matches. Try fewer words, another "
            "spelling, or a part of a word."
        )
    return "\n".join(found)


def read_item(hands: Hands, number: int, offset: int) -> str:
    """Return an item's text from `offset` on, as much as a call may show.

    Raises:
        ToolFailed: there is no such item, or nothing of it at the offset.
    """
    record = hands.record
    entry = record.entry(number) if 0 <= number < len(record) else None
    if entry is None:
        raise ToolFailed(f"There is no item {number} to read; there are items 0 to {len(record)}.")
    if not 0 <= offset <= len(entry.text):
        raise ToolFailed(f"Item {number} has {len(entry.text)} characters; offset is beyond them.")
    record.saw(number)
    limit_bytes = hands.output_limit_tokens * 4
    data = entry.text[offset : offset + limit_bytes].encode("utf-8", "replace")[:limit_bytes]
    shown = data.decode("utf-8", "ignore")
    end = offset + len(shown)
    head = f"Item {number}, {entry.title}, characters {offset} to {end} of {len(entry.text)}:"
    rest = f"\n[More with offset {end}.]" if end < len(entry.text) else ""
    return f"{head}\n{shown}{rest}"


def _listed(entry: Entry, lines: list[str]) -> str:
    shown = [f"    {line}" for line in lines[:LINES_SHOWN]]
    if len(lines) > LINES_SHOWN:
        shown.append(f"    … {len(lines) - LINES_SHOWN} more lines")
    return "\n".join([f"Item {entry.number}, {entry.title}:", *shown])


def _words(query: str) -> Match:
    phrases = [a or b for a, b in re.findall(r'"([^"]+)"|(\S+)', query)]
    wanted = [" ".join(phrase.casefold().split()) for phrase in phrases]
    wanted = [word for word in dict.fromkeys(wanted) if word]
    if not wanted:
        raise ToolFailed("The query is empty. Give words that are in what you look for.")

    def match(text: str, ends_at: float) -> list[str]:
        if time.monotonic() > ends_at:
            raise TimeoutError
        folded = text.casefold()
        if not all(word in folded or word in " ".join(folded.split()) for word in wanted):
            return []
        best: list[tuple[int, int, str]] = []
        for order, line in enumerate(text.splitlines()):
            low = line.casefold()
            hits = [low.find(word) for word in wanted if word in low]
            if hits:
                best.append((-len(hits), order, _around(line, min(hits))))
        # A phrase may be broken over lines: then the beginning of the item has to do.
        best = sorted(best) or [(0, 0, _around(text, 0))]
        return [line for _, _, line in best]

    return match


def _pattern(query: str) -> Match:
    _check_pattern(query)
    try:
        pattern = re.compile(query, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ToolFailed(f"This is no regular expression: {error}.") from None

    def match(text: str, ends_at: float) -> list[str]:
        found = []
        for line in text.splitlines():
            for at, piece in _pieces(line):
                if time.monotonic() > ends_at:
                    raise TimeoutError
                hit = pattern.search(piece)
                if hit is not None:
                    found.append(_around(line, at + hit.start()))
                    break
        return found

    return match


def _check_pattern(query: str) -> None:
    """Refuse a pattern whose search could take more than the square of a piece's length.

    Raises:
        ToolFailed: says what is not allowed.
    """
    if not query or len(query) > PATTERN_CHARS:
        raise ToolFailed(f"A regular expression has 1 to {PATTERN_CHARS} characters.")
    bare = re.sub(r"\\[^0-9]", "x", query)  # an escaped character repeats nothing
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)
    if re.search(r"\\[0-9]", bare) or re.search(r"\(\?(?!:)", bare):
        raise ToolFailed("Back references and (?…) other than (?:…) are not supported here.")
    if re.search(r"\)\s*[*+{]", bare):
        raise ToolFailed("Repeating a group is not supported here; repeat single characters.")
    unbounded = len(re.findall(r"[*+]|\{\d*,\}", bare))
    if unbounded > _UNBOUNDED_LIMIT or re.search(r"\{\d{3,}|,\d{3,}\}", bare):
        raise ToolFailed(
            f"At most {_UNBOUNDED_LIMIT} of *, + and {{n,}}, and counts below 100, are supported "
            "here. Look for words instead."
        )
    if _ways(bare) > _WAYS_LIMIT:
        raise ToolFailed(
            "There are too many ?, | and {m,n} in this pattern: it could take for ever. Look for "
            "words instead."
        )


def _ways(bare: str) -> int:
    """Return in how many ways a pattern could match at one place, at most: each choice that it
    leaves is multiplied with all others."""
    ways = 1
    for low, comma, high, sign in re.findall(
        r"\{(\d*)(,?)(\d*)\}|([*+?|])", bare.replace("(?:", "(")
    ):
        if sign in ("?", "|"):
            ways *= 2
        elif sign or (comma and not high):
            ways *= PIECE_CHARS
        elif comma:
            ways *= max(1, int(high) - int(low or 0) + 1)
    return ways


def _pieces(line: str) -> Iterator[tuple[int, str]]:
    for at in range(0, max(1, len(line)), PIECE_CHARS // 2):
        yield at, line[at : at + PIECE_CHARS]
        if at + PIECE_CHARS >= len(line):
            return


def _around(line: str, at: int) -> str:
    if len(line) <= LINE_CHARS:
        return line.strip()
    begin = max(0, min(at - LINE_CHARS // 3, len(line) - LINE_CHARS))
    piece = line[begin : begin + LINE_CHARS].strip()
    return f"{'…' if begin else ''}{piece}{'…' if begin + LINE_CHARS < len(line) else ''}"
