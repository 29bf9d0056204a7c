"""The scripted model, spoken to with bare sockets: it must be a server that others can rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from octavo.trial.scripted import (
    Received,
    Server,
    answer,
    call,
    cut,
    hang_up,
    refuse,
    say,
    serve,
    stall,
    think,
)

pytestmark = pytest.mark.anyio


def _post(body: Any = None, *, path: str = "/v1/responses", head: str = "") -> bytes:
    data = json.dumps(body if body is not None else {"model": "m"}).encode()
    return f"POST {path} HTTP/1.1\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode() + data


class Client:
    """A connection and its replies."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self._reader = BufferedByteReceiveStream(stream)

    async def line(self) -> bytes:
        return await self._reader.receive_until(b"\r\n", 1 << 20)

    async def reply(self) -> tuple[int, bytes]:
        """Read one whole reply: status and body."""
        status = int((await self.line()).split()[1])
        headers = {}
        while line := await self.line():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        if "content-length" in headers:
            return status, await self._reader.receive_exactly(int(headers["content-length"]))
        body = b""
        while size := int(await self.line(), 16):
            body += await self._reader.receive_exactly(size)
            await self.line()
        await self.line()
        return status, body

    async def events(self) -> list[dict[str, Any]]:
        """Read one whole reply: its events."""
        _, body = await self.reply()
        blocks = body.decode().split("\n\n")[:-1]
        return [json.loads(block.partition("\ndata: ")[2]) for block in blocks]


async def _connect(server: Server) -> Client:
    return Client(await anyio.connect_tcp("127.0.0.1", server.port))


async def _ask(server: Server, body: Any = None) -> list[dict[str, Any]]:
    client = await _connect(server)
    async with client.stream:
        await client.stream.send(_post(body))
        return await client.events()


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


async def test_events_come_in_the_order_of_the_real_service() -> None:
    async with serve([[think("Hm."), say("Hi.", deltas=2), call("f", a=1)]]) as server:
        events = await _ask(server)

    assert _types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(20))
    output = events[-1]["response"]["output"]
    assert output == [event["item"] for event in events if "output_item.done" in event["type"]]
    assert output[2]["arguments"] == '{"a":1}'


async def test_answers_are_given_in_order_over_one_connection_or_many() -> None:
    async with serve([say("1"), answer(say("2"), times=2), say("3")]) as server:
        client = await _connect(server)
        async with client.stream:
            texts = []
            for _ in range(2):
                await client.stream.send(_post())
                texts.append((await client.events())[-1]["response"]["output"][0])
        for _ in range(2):
            texts.append((await _ask(server))[-1]["response"]["output"][0])
        client = await _connect(server)
        async with client.stream:
            await client.stream.send(_post())
            status, body = await client.reply()

    assert [item["content"][0]["text"] for item in texts] == ["1", "2", "2", "3"]
    assert (status, b"no answer for request 5" in body) == (400, True)


async def test_requests_sent_together_are_answered_one_after_the_other() -> None:
    async with serve([say("1"), say("2")]) as server:
        client = await _connect(server)
        async with client.stream:
            await client.stream.send(_post() + _post())
            first, second = await client.events(), await client.events()

    assert (first[0]["response"]["id"], second[0]["response"]["id"]) == ("resp_1", "resp_2")


async def test_a_request_may_come_in_pieces_and_chunks() -> None:
    request = (
        b"POST /v1/responses HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5\r\n{"mod\r\n8;x=y\r\nel":"m"}\r\n0\r\n\r\n'
    )
    async with serve([say("Hi.")]) as server:
        client = await _connect(server)
        async with client.stream:
            for byte in request:
                await client.stream.send(bytes([byte]))
            events = await client.events()

    assert server.requests[0].json() == {"model": "m"}
    assert events[0]["response"]["model"] == "m"


async def test_each_thread_can_have_the_script_to_itself() -> None:
    async with serve([say("1"), say("2")], per_thread=True) as server:
        texts = []
        for key in ("a", "b", "a", "b"):
            events = await _ask(server, {"prompt_cache_key": key})
            texts.append(events[-1]["response"]["output"][0]["content"][0]["text"])

    assert texts == ["1", "1", "2", "2"]


async def test_a_script_may_be_a_function_of_the_request() -> None:
    def script(received: Received) -> Any:
        return say(received.json()["model"] * received.number)

    async with serve(script) as server:
        await _ask(server)
        events = await _ask(server)

    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "mm"


async def test_many_clients_are_served_at_once() -> None:
    async with serve([stall(say("Hi."), after=1)] * 20) as server:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(_ask, server)
            await server.until(lambda: len(server.requests) == 20)
            for received in server.requests:
                received.let()

        assert all(received.replied_at for received in server.requests)


async def test_the_moment_a_client_lets_go_is_known() -> None:
    async with serve([stall(say("Hi."), after=2)]) as server:
        client = await _connect(server)
        await client.stream.send(_post())
        received = await server.request(1)
        await server.until(lambda: received.events_sent == 2)
        assert received.closed_at is None
        await client.stream.aclose()
        await server.until(lambda: received.closed_at is not None)

    assert received.replied_at is None


@pytest.mark.parametrize(
    ("step", "ends"),
    [
        (cut(say("Hi."), after=2), b"\n\n\r\n"),
        (cut(say("Hi."), after=2, how="clean"), b"\r\n0\r\n\r\n"),
        (hang_up(), b""),
    ],
)
async def test_a_reply_is_cut_as_the_script_says(step: Any, ends: bytes) -> None:
    async with serve([step]) as server:
        client = await _connect(server)
        async with client.stream:
            await client.stream.send(_post(head="Connection: close\r\n"))
            got = b""
            while True:
                try:
                    got += await client.stream.receive()
                except anyio.EndOfStream:
                    break

    assert got.endswith(ends)
    assert got.count(b"event: ") == (2 if ends else 0)


async def test_a_refusal_is_an_http_error() -> None:
    async with serve([refuse(429, "Slow.", headers={"Retry-After": "3"})]) as server:
        client = await _connect(server)
        async with client.stream:
            await client.stream.send(_post())
            status, body = await client.reply()

    assert (status, json.loads(body)["error"]["message"]) == (429, "Slow.")


async def test_models_are_listed_and_other_addresses_are_not_found() -> None:
    async with serve(models=("a", "b")) as server:
        client = await _connect(server)
        async with client.stream:
            await client.stream.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
            _, body = await client.reply()
            await client.stream.send(_post(path="/v1/embeddings"))
            status, _ = await client.reply()
            await client.stream.send(b"nonsense\r\n\r\n")
            bad, _ = await client.reply()

    assert [model["id"] for model in json.loads(body)["data"]] == ["a", "b"]
    assert (status, bad) == (404, 400)
    assert server.requests == []


async def test_the_end_of_the_block_closes_every_connection() -> None:
    async with serve([stall(say("Hi."), after=1)]) as server:
        client = await _connect(server)
        await client.stream.send(_post())
        await server.request(1)

    async with client.stream:
        with anyio.fail_after(5), pytest.raises((anyio.IncompleteRead, anyio.BrokenResourceError)):
            await client.reply()


async def test_it_runs_as_a_program_of_its_own(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log"
    script.write_text('[{"parts":[{"type":"call","name":"f","arguments":{"a":1}}],"times":2}]')
    argv = [sys.executable, "-m", "octavo.trial.scripted", str(script), "--log", str(log)]

    with subprocess.Popen([*argv, "--bodies"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        client = Client(await anyio.connect_tcp("127.0.0.1", int(url.split(":")[2].split("/")[0])))
        async with client.stream:
            for _ in range(2):
                await client.stream.send(_post())
                events = await client.events()
        with anyio.fail_after(10):  # a reply is logged after it was sent
            while log.read_text().count("\n") < 2:
                await anyio.sleep(0.001)
        process.terminate()

    assert url.endswith("/v1")
    assert events[-1]["response"]["output"][0]["arguments"] == '{"a":1}'
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["number"], line["body"]) for line in lines] == [
        (1, '{"model": "m"}'),
        (2, '{"model": "m"}'),
    ]
    assert all(line["arrived_at"] <= line["replied_at"] for line in lines)
