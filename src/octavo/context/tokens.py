"""How many tokens something is worth: a cheap estimate, not a tokenizer."""

from __future__ import annotations

BYTES_PER_TOKEN = 4
IMAGE_TOKENS = 1_500
"""Of an image, whatever its size in bytes: providers scale it down first."""

_IMAGE = b'"data:image/'


def estimate_tokens(size_bytes: int) -> int:
    """Return about how many tokens `size_bytes` of encoded text are, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)


def item_tokens(raw: bytes) -> int:
    """Return about how many tokens a model item is; what stands for an image's bytes is not."""
    if _IMAGE not in raw:
        return estimate_tokens(len(raw))
    size_bytes, images, at = len(raw), 0, 0
    while (begin := raw.find(_IMAGE, at)) >= 0:
        end = raw.find(b'"', begin + len(_IMAGE))
        at = end if end >= 0 else len(raw)
        size_bytes -= at - begin
        images += 1
    return estimate_tokens(size_bytes) + images * IMAGE_TOKENS
