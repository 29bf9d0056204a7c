"""The estimate is cheap and never says nothing of something."""

from __future__ import annotations

import pytest

from octavo.context.tokens import estimate_tokens


@pytest.mark.parametrize(
    ("size_bytes", "tokens"), [(0, 0), (1, 1), (4, 1), (5, 2), (40_000, 10_000)]
)
def test_four_bytes_are_about_a_token(size_bytes: int, tokens: int) -> None:
    assert estimate_tokens(size_bytes) == tokens
