"""Lists in parts. A cursor is the number of the entry to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from octavo.rpc import BAD_PARAMS, RpcError

T = TypeVar("T")


def page(
    whole: Sequence[T], cursor: str | None, limit: int | None
) -> tuple[tuple[T, ...], str | None]:
    """Return a part of `whole`, and the cursor of the next one; None at the end.

    Raises:
        RpcError: the cursor is none of ours, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise RpcError(BAD_PARAMS, "Invalid params: Expected `int` >= 1 - at `$.limit`")
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 10):
        raise RpcError(BAD_PARAMS, "Invalid params: no cursor that a list gave - at `$.cursor`")
    first = int(cursor or 0)
    until = len(whole) if limit is None else min(first + limit, len(whole))
    return tuple(whole[first:until]), str(until) if until < len(whole) else None
