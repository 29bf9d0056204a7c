"""Frames as lines over pipes, sockets and files, whatever is sent and however slowly it is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.rpc import FrameTooLong, LinkClosed
from octavo.rpc.stream import LineDecoder, StreamLink, socket_link

pytestmark = pytest.mark.anyio

LIMIT = 50


@given(st.lists(st.binary(max_size=80)), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    sent = b"".join(line + b"\n" for line in lines)
    decoder, found = LineDecoder(LIMIT), []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        found += decoder.feed(sent[:size])
        sent = sent[size:]

    wanted = [line.strip() if len(line) <= LIMIT else None for line in lines]
    assert found == [line for line in wanted if line != b""]


def test_a_line_that_never_ends_takes_no_memory_and_is_reported_once() -> None:
    decoder = LineDecoder(LIMIT)
    found = [line for _ in range(1000) for line in decoder.feed(b"x" * 1000)]

    assert found == [None]
    assert decoder.feed(b"x\nnext\n") == [b"next"]


async def test_what_lacks_only_its_last_line_end_still_counts() -> None:
    into, out = os.pipe()
    os.write(out, b"one\n\n  \r\ntwo")
    os.close(out)
    link = StreamLink(into, os.open(os.devnull, os.O_WRONLY))

    assert [await link.receive(), await link.receive()] == [b"one", b"two"]
    with pytest.raises(LinkClosed):
        await link.receive()
    os.close(into)


async def test_a_line_too_long_costs_itself_only() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = StreamLink(ours.fileno(), ours.fileno(), limit_bytes=LIMIT)
        theirs.sendall(b"x" * 99 + b"\nok\n")
        with pytest.raises(FrameTooLong):
            await link.receive()
        assert await link.receive() == b"ok"


@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_a_reader_that_is_slow_holds_up_its_sender_alone(kind: str) -> None:
    if kind == "pipe":
        into, out = os.pipe()
    else:
        one, other = socket.socketpair()
        into, out = one.detach(), other.detach()
    link = StreamLink(into, out)
    frame = b"y" * (4 << 20)
    done = False

    async def send() -> None:
        nonlocal done
        await link.send(frame)
        done = True

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert not done
        with anyio.fail_after(10):
            assert await link.receive() == frame
    assert done
    link.close()
    os.close(into)
    os.close(out)


async def test_others_who_hold_the_pipe_may_still_wait_in_it() -> None:
    into, out = os.pipe()
    link = StreamLink(into, out)
    await link.send(b"hello")

    assert os.get_blocking(out)
    assert await link.receive() == b"hello"


async def test_a_file_is_read_and_appended_to(tmp_path: Path) -> None:
    asked, told = tmp_path / "in", tmp_path / "out"
    asked.write_bytes(b"1\n2\n")
    told.write_bytes(b"before\n")
    into, out = os.open(asked, os.O_RDONLY), os.open(told, os.O_WRONLY | os.O_APPEND)
    link = StreamLink(into, out)
    await link.send_all([await link.receive(), await link.receive()])

    with pytest.raises(LinkClosed):
        await link.receive()
    assert told.read_bytes() == b"before\n1\n2\n"


async def test_a_reader_that_is_gone_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        link = socket_link(ours)
        with pytest.raises(LinkClosed):
            await link.send(b"anybody?")
        with pytest.raises(LinkClosed):
            await link.receive()
