"""Who listens for what should not arrive: on a port, in a datagram, at a socket of this machine.

All of it is on the loopback interface or in a throw-away directory. What is heard is kept, so that
a case can look for its own token.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

LIMIT_BYTES = 1 << 20
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes"


class Canaries:
    """The listeners of one run.

    Attributes:
        tcp, udp: port numbers on 127.0.0.1.
        socket: path of a unix socket that stands for docker's.
        abstract: name of a unix socket without a path.
    """

    def __init__(self, folder: Path) -> None:
        self.tcp = 0
        self.udp = 0
        self.socket = folder / "docker.sock"
        self.abstract = f"octavo-attack-{os.urandom(6).hex()}"
        self.answers: dict[bytes, bytes] = {}
        """What is answered to a request that holds the key, instead of yes."""
        self._heard: list[bytes] = []

    def has_heard(self, token: str) -> bool:
        """Whether anything with `token` in it arrived."""
        return any(token.encode() in heard for heard in self._heard)

    def hear(self, data: bytes) -> None:
        self._heard.append(data[:LIMIT_BYTES])

    async def serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            data = await reader.read(65536)
            self.hear(data)
            found = (answer for key, answer in self.answers.items() if key in data)
            writer.write(next(found, ANSWER))
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._canaries.hear(data)


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Canaries]:
    """Listen in `folder` and on free ports while the context lasts."""
    canaries = Canaries(folder)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        tcp = await asyncio.start_server(canaries.serve_stream, "127.0.0.1", 0)
        canaries.tcp = tcp.sockets[0].getsockname()[1]
        unix = await asyncio.start_unix_server(canaries.serve_stream, canaries.socket)
        abstract = await asyncio.start_unix_server(canaries.serve_stream, f"\0{canaries.abstract}")
        for server in (tcp, unix, abstract):
            stack.callback(server.close)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(canaries), local_addr=("127.0.0.1", 0)
        )
        stack.callback(transport.close)
        canaries.udp = transport.get_extra_info("sockname")[1]
        yield canaries
