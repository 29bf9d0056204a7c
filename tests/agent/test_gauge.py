"""How large a request will be, before it is made."""

from __future__ import annotations

from typing import Any

import msgspec

from octavo.agent.gauge import Gauge
from octavo.context.tokens import HIGH, USUAL, item_tokens
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

    for rate in (USUAL, HIGH):
        assert 2 * rate.image_tokens < item_tokens(raw, rate) < 2 * rate.image_tokens + 50


def test_text_that_looks_like_an_image_counts_as_text() -> None:
    text = '{"image_url":"data:image/png;base64,' + "A" * 90_000
    raw = msgspec.json.encode({"content": [{"text": text}]})

    assert item_tokens(raw, HIGH) >= len(text) // HIGH.bytes_per_token
