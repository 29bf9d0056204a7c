"""What a cage's programs may cost, and that nothing stays behind."""

from __future__ import annotations

import os
import socket
import tracemalloc

import anyio
import pytest

from octavo.sandbox.net import Listeners
from octavo.sandbox.net.gate import Gate
from octavo.sandbox.net.rules import HostRules
from octavo.sandbox.net.serve import Limits, serve
from tests.sandbox.net.world import (
    ALLOWED,
    Origin,
    connect_through,
    curl,
    network,
    read_all,
    recorder,
    say,
)

pytestmark = pytest.mark.anyio


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_an_idle_connection_is_closed() -> None:
    async with recorder() as host, network(limits=Limits(idle_s=0.2)) as net:
        async with await connect_through(net, f"{ALLOWED}:{host.port}") as stream:
            assert await read_all(stream) == b""
        assert await say(net.proxy, b"GET http://") == b""
        assert await say(net.socks, b"\x05") == b""
        assert await say(net.dns_tcp, b"\0") == b""


async def test_a_connection_that_moves_is_not_idle() -> None:
    async with recorder() as host, network(limits=Limits(idle_s=0.5)) as net:
        async with await connect_through(net, f"{ALLOWED}:{host.port}") as stream:
            for _ in range(10):
                await stream.send(b"x")
                with anyio.move_on_after(0.1):
                    await stream.receive()
        await host.ended.wait()

    assert host.heard == b"x" * 10


async def test_no_more_connections_than_allowed_are_served_at_once(origin: Origin) -> None:
    request = f"GET http://{ALLOWED}:{origin.port}/ HTTP/1.0\r\n\r\n".encode()
    async with network(limits=Limits(connections=2)) as net:
        first = await anyio.connect_tcp("127.0.0.1", net.proxy)
        second = await anyio.connect_tcp("127.0.0.1", net.proxy)
        await first.send(b"GET")
        await second.send(b"GET")
        third = await anyio.connect_tcp("127.0.0.1", net.proxy)
        await third.send(request)
        with anyio.move_on_after(0.3) as waiting:
            await third.receive()
        await first.aclose()
        served = await read_all(third)
        await second.aclose()
        await third.aclose()

    assert waiting.cancelled_caught
    assert served.endswith(b"hello ")


async def test_many_clients_at_once_are_all_served(origin: Origin) -> None:
    got: list[bytes] = []
    place = f"{ALLOWED}:{origin.port}"
    request = (
        f"GET http://{place}/big/100000 HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n"
    )

    async with network() as net, anyio.create_task_group() as group:

        async def one() -> None:
            got.append(await say(net.proxy, request.encode()))

        for _ in range(60):
            group.start_soon(one)

    assert [len(reply.partition(b"\r\n\r\n")[2]) for reply in got] == [100_000] * 60


async def test_what_a_slow_reader_does_not_take_is_not_kept(origin: Origin) -> None:
    place = f"{ALLOWED}:{origin.port}"
    request = f"GET http://{place}/big/100000000 HTTP/1.1\r\nHost: {place}\r\n\r\n"
    async with network() as net:
        await curl("-x", net.proxy_url, f"http://{place}/")
        tracemalloc.start()
        try:
            streams = [await anyio.connect_tcp("127.0.0.1", net.proxy) for _ in range(4)]
            for stream in streams:
                await stream.send(request.encode())
            await anyio.wait_all_tasks_blocked()
            for stream in streams:
                await stream.receive()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        for stream in streams:
            await stream.aclose()

    assert peak < 12_000_000  # the origin's own block of 1 MiB, four times, is in it


async def test_cancelling_closes_everything(origin: Origin) -> None:
    before = open_descriptors()
    listeners = Listeners(proxy=socket.create_server(("127.0.0.1", 0)))
    assert listeners.proxy is not None
    port = listeners.proxy.getsockname()[1]

    async def resolve(_name: str) -> list[str]:
        return ["127.0.0.1"]

    gate = Gate(HostRules(allow_local=[ALLOWED]), resolve=resolve)
    async with recorder() as host, anyio.create_task_group() as group:
        group.start_soon(serve, listeners, gate)
        streams = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(5)]
        for stream in streams:
            place = f"{ALLOWED}:{host.port}"
            await stream.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        group.cancel_scope.cancel()
    for stream in streams:
        assert await read_all(stream) == b""
        await stream.aclose()

    assert listeners.proxy.fileno() == -1
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    await anyio.wait_all_tasks_blocked()
    assert open_descriptors() == before


async def test_no_descriptor_is_left_over_by_what_went_wrong(origin: Origin) -> None:
    place = f"{ALLOWED}:{origin.port}"
    async with network() as net:
        await curl("-x", net.proxy_url, f"http://{place}/")
        before = open_descriptors()
        for data in (
            b"nonsense\r\n\r\n",
            b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n",
            f"GET http://{ALLOWED}:1/ HTTP/1.1\r\nHost: {ALLOWED}:1\r\n\r\n".encode(),
            f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode(),
            f"POST http://{place}/ HTTP/1.0\r\nContent-Length: 9\r\n\r\nx".encode(),
        ):
            await say(net.proxy, data, end=True)
        with anyio.fail_after(5):
            while open_descriptors() > before:
                await anyio.sleep(0.01)
