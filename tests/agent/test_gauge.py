"""How large a request will be, before it is made."""

from __future__ import annotations

from typing import Any

import msgspec

from octavo.agent.gauge import IMAGE_TOKENS, Gauge, item_tokens
from octavo.model import Prompt


def prompt(items: list[bytes], **more: Any) -> Prompt:
    return Prompt(**{"model": "m", "input": items, "tools": TOOLS, "cache_key": "t", **more})


TOOLS = b"[" + b" " * 298 + b"]"


def test_the_first_request_is_guessed_from_above_and_the_next_from_what_was_counted() -> None:
    gauge, items = Gauge(), [b"x" * 300, b"y" * 300]
    assert gauge.measure(prompt(items)) == 100 + 100 + 100
    gauge.learn(170)
    items.append(b"z" * 30)

    assert gauge.measure(prompt(items)) == 180


def test_a_history_that_was_replaced_is_measured_anew() -> None:
    gauge = Gauge()
    gauge.measure(prompt([b"x" * 300, b"y" * 300]))
    gauge.learn(5)

    assert gauge.measure(prompt([b"s" * 30, b"z" * 30, b"w" * 30])) == 100 + 30


def test_a_retried_request_is_as_large_as_it_was() -> None:
    gauge, items = Gauge(), [b"x" * 300]

    assert gauge.measure(prompt(items)) == gauge.measure(prompt(items))


def test_an_image_counts_as_one_and_not_by_its_bytes() -> None:
    url = "data:image/png;base64," + "A" * 900_000
    raw = msgspec.json.encode({"content": [{"image_url": url}, {"image_url": url}]})

    assert 2 * IMAGE_TOKENS < item_tokens(raw) < 2 * IMAGE_TOKENS + 50
