"""Output shown while it is being produced."""

from __future__ import annotations

import anyio
import pytest

from octavo.tools.progress import Progress

pytestmark = pytest.mark.anyio


async def test_the_first_piece_is_shown_at_once_and_later_ones_together() -> None:
    shown: list[str] = []
    progress = Progress(shown.append)
    async with anyio.create_task_group() as group:
        progress.show(b"first\n", group)
        assert shown == ["first\n"]
        for n in range(100):
            progress.show(b"%d " % n, group)
        assert shown == ["first\n"]
        progress.stop()
    progress.flush()
    assert shown == ["first\n", "".join(f"{n} " for n in range(100))]


async def test_what_is_pending_is_shown_without_further_output() -> None:
    shown: list[str] = []
    arrived = anyio.Event()

    def show(text: str) -> None:
        shown.append(text)
        if len(shown) == 2:
            arrived.set()

    progress = Progress(show)
    async with anyio.create_task_group() as group:
        progress.show(b"a", group)
        progress.show(b"b", group)
        with anyio.fail_after(10):
            await arrived.wait()
        progress.stop()
    assert shown == ["a", "b"]


async def test_of_a_flood_only_the_latest_is_shown_and_no_escape_reaches_the_eye() -> None:
    shown: list[str] = []
    progress = Progress(shown.append)
    async with anyio.create_task_group() as group:
        for _ in range(1000):
            progress.show(b"\x1b[31mx" * 10_000, group)
        progress.stop()
    progress.flush()
    assert sum(map(len, shown)) < 20_000
    assert "\x1b" not in "".join(shown)
