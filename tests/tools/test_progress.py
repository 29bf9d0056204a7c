"""Output shown while it is being produced."""

from __future__ import annotations

import anyio
import pytest

from octavo.protocol.gaps import gap, lines_of_gap
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


@pytest.mark.parametrize("pieces", [1, 7])
async def test_of_a_flood_whole_lines_are_shown_and_the_others_counted(pieces: int) -> None:
    lines = [f"{n}\n" for n in range(1, 100_001)]
    flood = "".join(lines).encode()
    shown: list[str] = []
    progress = Progress(shown.append)
    size = -(-len(flood) // pieces)
    async with anyio.create_task_group() as group:
        for at in range(0, len(flood), size):
            progress.show(flood[at : at + size], group)
        progress.stop()
    progress.flush()

    seen = "".join(shown).splitlines()
    [at] = [at for at, line in enumerate(seen) if lines_of_gap(line)]
    assert seen[:at] == [str(n) for n in range(1, at + 1)]
    assert seen[at + 1 :] == [str(n) for n in range(100_000 - len(seen) + at + 2, 100_001)]
    assert at + lines_of_gap(seen[at]) + len(seen[at + 1 :]) == 100_000


def test_only_what_stands_for_lines_counts_as_more_than_one() -> None:
    assert [lines_of_gap(gap(n)) for n in (1, 2, 44_176)] == [1, 2, 44_176]
    for line in (
        "",
        "… 5 more line …",
        "… 05 more lines …",
        "… x more lines …",
        " … 5 more lines …",
    ):
        assert lines_of_gap(line) == 0, line
