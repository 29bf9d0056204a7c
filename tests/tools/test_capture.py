"""What is kept of an output, in memory and in its file."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tools.plain_hands import FullDisk, KeptFile

from octavo.tools.capture import Capture
from octavo.tools.plain import plain

pytestmark = pytest.mark.anyio


class Memory:
    """A file that is a list."""

    path = Path("/kept/output.log")

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.data += data

    def close(self) -> None:
        self.closed = True


def _capture(file: Memory, limit_tokens: int = 10) -> Capture:
    async def open_file() -> Memory:
        return file

    return Capture(open_file, limit_tokens)


_chunks = st.lists(st.sampled_from([b"line\n", b"x", b"\x1b[31m", b"caf\xc3", b"\xa9", b"\n"]))


@given(st.lists(_chunks, max_size=5))
async def test_windows_joined_are_the_whole_output(windows: list[list[bytes]]) -> None:
    file = Memory()
    capture = _capture(file)
    text = ""
    for chunks in windows:
        for chunk in chunks:
            await capture.feed(chunk)
        text += capture.take(final=False).head
    await capture.close()
    assert text + capture.take(final=True).head == plain(b"".join(map(b"".join, windows)))
    assert file.data == b""


@given(st.lists(st.integers(0, 120_000), min_size=1, max_size=8))
async def test_an_output_of_any_size_keeps_both_ends_and_its_file_all(sizes: list[int]) -> None:
    file = Memory()
    capture = _capture(file)
    sent = b""
    for size in sizes:
        chunk = b"".join(b"%07d\n" % n for n in range(len(sent) // 8, (len(sent) + size) // 8))
        sent += chunk
        await capture.feed(chunk)
    await capture.close()
    window = capture.take(final=True)

    assert window.size_bytes == len(sent)
    assert sent.decode().startswith(window.head)
    assert sent.decode().endswith(window.tail)
    lost_bytes = len(sent) - len(window.head) - len(window.tail)
    if window.gap is None:
        assert lost_bytes == 0
    else:
        assert window.gap.size_bytes == lost_bytes
        assert window.gap.lines == lost_bytes // 8
        assert len(window.head) + len(window.tail) < 1 << 20
    assert file.data == (sent if len(sent) > 40 else b"")
    assert file.closed == (len(sent) > 40)


async def test_the_file_holds_everything_also_what_was_shown_before_it_was_opened() -> None:
    file = Memory()
    capture = _capture(file)
    await capture.feed(b"shown before\n")
    capture.take(final=False)
    await capture.feed(b"x" * 1_000_000)
    assert file.data == b"shown before\n" + b"x" * 1_000_000
    assert capture.where() == "the whole output is in /kept/output.log"


async def test_an_output_larger_than_its_file_may_be_says_what_the_file_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("octavo.tools.capture.OUTPUT_FILE_LIMIT_BYTES", 1 << 20)
    capture = _capture(Memory())
    await capture.feed(b"x" * (1 << 20))
    assert capture.where() == "the whole output is in /kept/output.log"
    await capture.feed(b"x")
    assert capture.where() == "/kept/output.log has the first 1 MiB"


async def test_a_disk_that_fills_up_is_told(tmp_path: Path) -> None:
    async def open_file() -> KeptFile:
        return FullDisk()

    capture = Capture(open_file, 10)
    await capture.feed(b"x" * 1_000_000)
    await capture.feed(b"y" * 1_000_000)
    await capture.close()
    assert capture.take(final=True).tail.endswith("yyy")
    assert capture.trouble == "No space left on device"


async def test_a_file_that_cannot_be_made_is_told() -> None:
    async def open_file() -> KeptFile:
        raise PermissionError(13, "Permission denied")

    capture = Capture(open_file, 10)
    await capture.feed(b"x" * 1_000_000)
    await capture.close()
    assert capture.where() == "the rest could not be kept: Permission denied"


async def test_a_flood_costs_little_memory_and_time() -> None:
    class Nowhere(Memory):
        def write(self, data: bytes) -> None:
            pass

    capture = _capture(Nowhere(), 10_000)
    chunk = b"a line of output that says little\n" * 7710
    tracemalloc.start()
    began = time.process_time()
    for _ in range(400):
        await capture.feed(chunk)
    cpu_s = time.process_time() - began
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 3 << 20
    assert cpu_s < 2
