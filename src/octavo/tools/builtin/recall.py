"""Look things up in the whole record of the thread, also what a compaction took out of sight.

It is declared only once a thread was compacted: before that everything is in sight, and a tool
that is of no use costs every request. The declaration comes with the compaction, when the prompt's
cached beginning is another one anyway, and stays.
"""

from __future__ import annotations

import msgspec

from octavo.tools import Effect, Hands, Outcome, Tool, ToolFailed
from octavo.tools.schema import flag, number, obj, text


class Recall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `query` or `item`."""

    query: str | None = None
    regex: bool = False
    item: int | None = None
    offset: int = 0


SCHEMA = obj(
    {
        "query": text(
            "What to look for: words that all have to be in the item, in any order; put a phrase "
            "in double quotes. Not case-sensitive."
        ),
        "regex": flag("The query is a regular expression, matched line by line."),
        "item": number("Read this item of the record, by its number."),
        "offset": number("With item: begin at this character."),
    }
)


async def recall(args: Recall, hands: Hands) -> Outcome:
    """Search the record, or read one item of it."""
    from octavo.tools.record import read_item, search  # most threads never need it

    if (args.query is None) == (args.item is None):
        raise ToolFailed("Give either `query`, to search, or `item`, to read one item.")
    if args.item is not None:
        return Outcome(read_item(hands, args.item, args.offset))
    return Outcome(await search(hands, args.query or "", regex=args.regex))


TOOL = Tool(
    name="recall",
    description=(
        "Search the whole record of this thread, or read one item of it: what the user wrote, what "
        "you said, every call and its full output, also from before the conversation was "
        "shortened. A search lists the items that match, newest first, each with its number and "
        "the lines that match; then read one with `item`."
    ),
    params=Recall,
    run=recall,
    effect=Effect.NONE,
    schema=SCHEMA,
)
