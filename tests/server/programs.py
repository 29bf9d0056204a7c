"""`octavo app-server` as a real process, and a client of the tests' own: no code of octavo's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

OCTAVO = Path(sys.executable).with_name("octavo")
DEADLINE_S = 30
HELLO = {"clientInfo": {"name": "tests", "version": "1"}}


class Wire:
    """A client over a reader and a writer of lines.

    Attributes:
        seen: every message that came, in order.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen: list[dict[str, Any]] = []
        self._read = 0

    async def write(self, line: bytes) -> None:
        self.writer.write(line + b"\n")
        await self.writer.drain()

    async def send(self, **message: Any) -> None:
        await self.write(json.dumps(message).encode())

    async def next(self) -> dict[str, Any]:
        """The next message that came."""
        with anyio.fail_after(DEADLINE_S):
            line = await self.reader.readline()
        assert line, "the server ended the connection"
        message: dict[str, Any] = json.loads(line)
        self.seen.append(message)
        return message

    async def until(self, method: str) -> dict[str, Any]:
        """Read up to the next message with `method`; return it."""
        while (message := await self.next()).get("method") != method:
            pass
        return message

    async def call(self, method: str, params: Any = None, *, of: Any = None) -> Any:
        """Ask, and return the result; what comes before it is in `seen`."""
        of = of or f"{method}#{len(self.seen)}"
        await self.send(id=of, method=method, **({} if params is None else {"params": params}))
        while True:
            message = await self.next()
            if message.get("id") == of and "method" not in message:
                assert "result" in message, message
                return message["result"]

    async def refused(self, method: str, params: Any) -> dict[str, Any]:
        await self.send(id="no", method=method, params=params)
        while (message := await self.next()).get("id") != "no":
            pass
        error: dict[str, Any] = message["error"]
        return error

    async def hello(self, **capabilities: Any) -> Any:
        more = {"capabilities": capabilities} if capabilities else {}
        result = await self.call("initialize", {**HELLO, **more})
        await self.send(method="initialized")
        return result

    async def start(self, cwd: Path, **params: Any) -> str:
        started = await self.call("thread/start", {"cwd": str(cwd), **params})
        return str(started["thread"]["id"])

    async def begin(self, thread_id: str, text: str, **params: Any) -> str:
        asked = {"threadId": thread_id, "input": [{"type": "text", "text": text}], **params}
        return str((await self.call("turn/start", asked))["turn"]["id"])

    async def rest(self) -> list[dict[str, Any]]:
        """Everything up to the end of the connection."""
        with anyio.fail_after(DEADLINE_S):
            while line := await self.reader.readline():
                self.seen.append(json.loads(line))
        return self.seen


class Program(Wire):
    """The process, and the client at its standard input and output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        super().__init__(process.stdout, process.stdin)
        self.process = process

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    async def end(self) -> tuple[int, str]:
        """Wait for its end; return the exit code and what it said on stderr."""
        assert self.process.stderr is not None
        with anyio.fail_after(DEADLINE_S):
            said = await self.process.stderr.read()
            return await self.process.wait(), said.decode()


def settings(base_url: str) -> list[str]:
    return [
        *("-c", f'model_providers.trial={{name="trial",base_url="{base_url}"}}'),
        *("-c", 'model_provider="trial"', "-c", 'model="scripted"'),
    ]


@asynccontextmanager
async def program(
    home: Path, *words: str, base_url: str = "http://127.0.0.1:9/v1", before: Sequence[str] = ()
) -> AsyncIterator[Program]:
    """The server, on the model at `base_url`; it is killed if the test leaves it running."""
    process = await asyncio.create_subprocess_exec(
        *(str(OCTAVO), *before, "app-server", *settings(base_url), *words),
        env={**os.environ, "OCTAVO_HOME": str(home)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 27,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.communicate()


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[Wire]:
    """A client at a server's socket, introduced."""
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 27)
    wire = Wire(reader, writer)
    try:
        await wire.hello()
        yield wire
    finally:
        writer.close()
