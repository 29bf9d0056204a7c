"""How many tokens something is worth: a cheap estimate, not a tokenizer."""

from __future__ import annotations

BYTES_PER_TOKEN = 4


def estimate_tokens(size_bytes: int) -> int:
    """Return about how many tokens `size_bytes` of encoded text are, rounded up."""
    return -(-size_bytes // BYTES_PER_TOKEN)
