"""A websocket link whose other side reads slowly, and asks meanwhile whether anybody is there."""

from __future__ import annotations

import socket
from random import Random

import anyio
import anyio.lowlevel
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from octavo.rpc.websocket import SocketPipe, WebsocketLink
from octavo.server.outbox import Outbox

pytestmark = pytest.mark.anyio

FRAMES = 1_000


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_posted_arrives_whole_and_in_order_however_it_is_cut(seed: int) -> None:
    chance = Random(seed)
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    posted = [
        b"%d:" % n + b"x" * chance.choice((1, 1, 130, 130, 130, 5000, 70_000))
        for n in range(FRAMES)
    ]
    at_once = 0
    got: list[bytes] = []
    pongs: list[bytes] = []
    words = ClientProtocol(parse_uri("ws://localhost"), state=OPEN, max_size=None)
    with ours, theirs:
        theirs.setblocking(False)
        link = WebsocketLink(ServerProtocol(state=OPEN), SocketPipe(ours))
        outbox = Outbox(link, None, lambda _: b"")

        async def read() -> None:
            while len(got) < FRAMES or len(pongs) < asked:
                await anyio.wait_readable(theirs)
                words.receive_data(theirs.recv(chance.choice((100, 3000, 100_000))))
                for frame in words.events_received():
                    if frame.opcode is Opcode.TEXT:
                        got.append(frame.data)
                    elif frame.opcode is Opcode.PONG:
                        pongs.append(frame.data)

        async def listen() -> None:
            while True:
                await link.receive()

        asked = 0
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                sending = anyio.create_task_group()
                group.start_soon(outbox.run)
                group.start_soon(listen)
                async with sending:
                    sending.start_soon(read)
                    for frame in posted:
                        outbox.post(frame)
                        at_once += not outbox.is_behind
                        if chance.randrange(100) == 0:
                            words.send_ping(b"%d" % asked)
                            asked += 1
                            theirs.sendall(b"".join(words.data_to_send()))
                        for _ in range(chance.randrange(8)):
                            await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()

    assert got == posted
    assert pongs == [b"%d" % n for n in range(asked)]
    assert at_once < FRAMES  # it had to wait


@pytest.mark.parametrize("answers", [True, False])
async def test_a_side_that_answers_no_ping_is_gone(answers: bool) -> None:
    ours, theirs = socket.socketpair()
    words = ClientProtocol(parse_uri("ws://localhost"), state=OPEN)
    pings = 0
    with ours, theirs:
        theirs.setblocking(False)
        link = WebsocketLink(ServerProtocol(state=OPEN), SocketPipe(ours))

        async def other_side() -> None:
            nonlocal pings
            while pings < 20:
                await anyio.wait_readable(theirs)
                words.receive_data(theirs.recv(1000))
                pings += len(words.events_received())
                if answers:
                    theirs.sendall(b"".join(words.data_to_send()))
            group.cancel_scope.cancel()

        async def listen() -> None:
            while True:
                await link.receive()

        gone = False
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(other_side)
                group.start_soon(listen)
                await link.keep_alive(ping_s=0.02, dead_s=0.2)
                gone = True
                group.cancel_scope.cancel()

    assert gone is not answers
    assert pings == 20 if answers else 0 < pings < 20
