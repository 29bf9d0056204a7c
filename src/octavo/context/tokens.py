"""How many tokens something is worth: a cheap estimate, not a tokenizer."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """What a token is taken to be.

    Attributes:
        bytes_per_token: of encoded text.
        image_tokens: of an image, whatever its size in bytes: providers scale it down first.
    """

    bytes_per_token: int
    image_tokens: int


USUAL = Rate(bytes_per_token=4, image_tokens=1_500)
HIGH = Rate(bytes_per_token=3, image_tokens=3_000)
"""Rather too many: for what must not be exceeded."""

_IMAGE = b':"data:image/'
"""Where an image begins. Text that says so has its quote escaped, so it is counted as text."""


def estimate_tokens(size_bytes: int, rate: Rate = USUAL) -> int:
    """Return about how many tokens `size_bytes` of encoded text are, rounded up."""
    return -(-size_bytes // rate.bytes_per_token)


def item_tokens(raw: bytes, rate: Rate = USUAL) -> int:
    """Return about how many tokens a model item is; what stands for an image's bytes is not."""
    if _IMAGE not in raw:
        return estimate_tokens(len(raw), rate)
    size_bytes, images, at = len(raw), 0, 0
    while (begin := raw.find(_IMAGE, at)) >= 0:
        end = raw.find(b'"', begin + len(_IMAGE))
        at = end if end >= 0 else len(raw)
        size_bytes -= at - begin
        images += 1
    return estimate_tokens(size_bytes, rate) + images * rate.image_tokens
