"""Show a long text by its two ends.

What is shown is cut where lines end and says itself what is missing. A token is counted as four
bytes of UTF-8, so that the bound holds for every model without its tokenizer.
"""

from __future__ import annotations

import msgspec

TOKEN_BYTES = 4


class Gap(msgspec.Struct, frozen=True):
    """What is already missing between two ends."""

    size_bytes: int
    lines: int


def count_tokens(size_bytes: int) -> int:
    """Return the tokens that `size_bytes` of UTF-8 count as."""
    return -(-size_bytes // TOKEN_BYTES)


def truncate(text: str, limit_tokens: int, *, kept_in: str | None = None) -> str:
    """Return `text`, or its ends within `limit_tokens` around a line that says what is missing.

    That line comes on top of the limit. Characters that UTF-8 cannot carry become "?".

    Args:
        kept_in: how to find the whole text, such as a path; told in place of what is left out.
    """
    return truncate_ends(text, "", limit_tokens, kept_in=kept_in)


def truncate_ends(
    head: str,
    tail: str,
    limit_tokens: int,
    *,
    gap: Gap | None = None,
    kept_in: str | None = None,
) -> str:
    """Do as `truncate` with a text that lacks its middle already: `head`, the `gap`, `tail`."""
    limit_bytes = max(0, limit_tokens) * TOKEN_BYTES
    first, last = head.encode("utf-8", "replace"), tail.encode("utf-8", "replace")
    if gap is None:
        first, last = first + last, b""
        if len(first) <= limit_bytes:
            return first.decode()
        last = first
    shown_first = _keep_head(first, limit_bytes // 2)
    shown_last = _keep_tail(last, limit_bytes - limit_bytes // 2)
    if gap is None:
        missing = first[len(shown_first) : len(first) - len(shown_last)]
        gap = Gap(len(missing), missing.count(b"\n"))
    else:
        cut_first, cut_last = first[len(shown_first) :], last[: len(last) - len(shown_last)]
        gap = Gap(
            gap.size_bytes + len(cut_first) + len(cut_last),
            gap.lines + cut_first.count(b"\n") + cut_last.count(b"\n"),
        )
    return _join(shown_first.decode(), _marker(gap, kept_in), shown_last.decode())


def _join(head: str, marker: str, tail: str) -> str:
    before = "" if not head or head.endswith("\n") else "\n"
    return f"{head}{before}{marker}\n{tail}"


def _marker(gap: Gap, kept_in: str | None) -> str:
    tokens = count_tokens(gap.size_bytes)
    size = f"{tokens:,} token{'s' * (tokens != 1)}"
    if gap.lines:
        size = f"{gap.lines:,} line{'s' * (gap.lines != 1)} ({size})"
    where = f"; {kept_in}" if kept_in else ""
    return f"[… {size} left out here{where} …]"


def _keep_head(data: bytes, limit_bytes: int) -> bytes:
    """Return the lines that fit; part of one when lines are so long that half would be lost."""
    if len(data) <= limit_bytes:
        return data
    end = data.rfind(b"\n", 0, limit_bytes) + 1
    if end > limit_bytes // 2:
        return data[:end]
    end = limit_bytes
    while end and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end]


def _keep_tail(data: bytes, limit_bytes: int) -> bytes:
    if len(data) <= limit_bytes:
        return data
    start = len(data) - limit_bytes
    line = data.find(b"\n", start - 1 if start else 0) + 1 if limit_bytes else 0
    if line and len(data) - line > limit_bytes // 2:
        return data[line:]
    while start < len(data) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
