"""Ids."""

from __future__ import annotations

import time
import uuid

from octavo.protocol.ids import new_id


def test_ids_are_version_7_and_tell_the_time() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    after_ms = time.time_ns() // 1_000_000

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before_ms <= made.int >> 80 <= after_ms + 10


def test_a_later_id_sorts_later() -> None:
    made = [new_id() for _ in range(10_000)]

    assert made == sorted(set(made))
