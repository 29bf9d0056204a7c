"""A model that says what a script tells it, over real HTTP on the loopback interface.

It speaks OpenAI's Responses API and Chat Completions, and Anthropic's Messages API, each at its own
address and from the same script, as streams of server-sent events, so nothing under test is
replaced: the client's sockets, parser and timeouts are the real ones. Every request is recorded
with its bytes and with the moment the client let go of it. It is not a model of anything: it
never looks at a prompt unless the script is a function that does.

    async with serve([call("exec_command", cmd="ls"), say("Done.")]) as server:
        ...  # a client of server.base_url
        assert len(server.requests) == 2

As a program: `python -m octavo.trial.scripted SCRIPT.json [--port N] [--log FILE]`, where the
script is a JSON array of `answers.Answer`; the base URL is the first line printed.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from octavo.trial.answers import (
    Answer,
    Script,
    Step,
    answer,
    as_answer,
    call,
    custom,
    cut,
    fail,
    garble,
    hang_up,
    refuse,
    say,
    search,
    stall,
    think,
)
from octavo.trial.connection import Connection, Received

if TYPE_CHECKING:
    import ssl

__all__ = [
    "Answer",
    "Received",
    "Script",
    "Server",
    "Step",
    "answer",
    "call",
    "custom",
    "cut",
    "fail",
    "garble",
    "hang_up",
    "refuse",
    "say",
    "search",
    "serve",
    "stall",
    "think",
]


WIRES = ("responses", "chat/completions", "messages")


class Server:
    """A running scripted model. See `serve`."""

    def __init__(
        self,
        script: Script,
        *,
        per_thread: bool,
        models: Sequence[str],
        on_done: Callable[[Received], None] | None,
        keep_bodies: bool,
        wires: Collection[str],
    ) -> None:
        self.requests: list[Received] = []
        """The requests for an answer, in order of arrival."""
        self.other_requests: list[Received] = []
        self.base_url = ""
        self.port = 0
        self.connections = 0
        """How many there have been."""
        self.open_connections = 0
        self._script = script
        self._per_thread = per_thread
        self.models = models
        self.wires = wires
        self._on_done = on_done
        self._keep_bodies = keep_bodies
        self._asked: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._connections: set[Connection] = set()

    async def until(self, claim: Callable[[], bool], *, deadline_s: float = 5) -> None:
        """Wait until `claim` holds; it is looked at whenever something happened here.

        Raises:
            TimeoutError: it did not become true in time.
        """
        async with asyncio.timeout(deadline_s):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    async def request(self, number: int) -> Received:
        """Wait for the `number`th request, counted from 1, and return it."""
        await self.until(lambda: len(self.requests) >= number)
        return self.requests[number - 1]

    def opened(self, connection: Connection) -> None:
        """See `Host`."""
        self.connections += 1
        self.open_connections += 1
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """See `Host`."""
        self.open_connections -= 1
        self._connections.discard(connection)
        self.changed()

    def done(self, received: Received) -> None:
        """See `Host`."""
        if self._on_done is not None:
            self._on_done(received)
        if not self._keep_bodies:
            received.body = b""
        self.changed()

    def changed(self) -> None:
        """See `Host`."""
        self._changed.set()

    def answer_to(self, received: Received) -> Answer:
        """See `Host`."""
        if callable(self._script):
            return as_answer(self._script(received))
        key = ""
        if self._per_thread:
            key = str(received.json().get("prompt_cache_key", ""))
        asked = self._asked[key]
        self._asked[key] += 1
        for step in self._script:
            chosen = as_answer(step)
            if asked < chosen.times:
                return chosen
            asked -= chosen.times
        return refuse(400, f"The script has no answer for request {received.number}.")


@asynccontextmanager
async def serve(
    script: Script = (),
    *,
    port: int = 0,
    per_thread: bool = False,
    models: Sequence[str] = ("scripted",),
    on_done: Callable[[Received], None] | None = None,
    keep_bodies: bool = True,
    tls: ssl.SSLContext | None = None,
    wires: Collection[str] = WIRES,
) -> AsyncIterator[Server]:
    """Serve `script` on 127.0.0.1 until the block ends; then every connection is closed.

    Args:
        script: steps, given in the order of the requests; or a function of the request.
        port: 0 takes a free one.
        per_thread: each `prompt_cache_key` goes through the steps by itself (Responses only).
        models: the ids that `GET /v1/models` lists.
        on_done: called when a reply has ended, in whatever way.
        keep_bodies: whether `Received.body` stays after the reply.
        tls: serve https with it.
        wires: which APIs there are, by the end of their addresses.
    """
    server = Server(
        script,
        per_thread=per_thread,
        models=models,
        on_done=on_done,
        keep_bodies=keep_bodies,
        wires=wires,
    )
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(server), "127.0.0.1", port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    server.base_url = f"http{'s' if tls else ''}://127.0.0.1:{server.port}/v1"
    try:
        yield server
    finally:
        listener.close()
        tasks = [connection.abort() for connection in list(server._connections)]
        await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """Serve a script from a file until killed."""
    import argparse
    import contextlib
    from pathlib import Path

    import msgspec

    parser = argparse.ArgumentParser(
        prog="python -m octavo.trial.scripted", description=main.__doc__
    )
    parser.add_argument("script", type=Path, help="a JSON array of answers")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    parser.add_argument("--log", type=Path, help="append a JSON line for each reply")
    parser.add_argument("--bodies", action="store_true", help="log the requests' bodies, too")
    parser.add_argument(
        "--per-thread", action="store_true", help="each prompt_cache_key gets the whole script"
    )
    options = parser.parse_args()
    script = msgspec.json.decode(options.script.read_bytes(), type=list[Answer])

    async def run() -> None:
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(options.log.open("a")) if options.log else None

            def note(received: Received) -> None:
                if log is not None:
                    line = _line_of(received, bodies=options.bodies)
                    print(json.dumps(line), file=log, flush=True)

            async with serve(
                script,
                port=options.port,
                per_thread=options.per_thread,
                on_done=note,
                keep_bodies=False,
            ) as server:
                print(server.base_url, flush=True)
                await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


def _line_of(received: Received, *, bodies: bool) -> dict[str, Any]:
    line = {
        "number": received.number,
        "method": received.method,
        "path": received.path,
        "headers": received.headers,
        "body_bytes": len(received.body),
        "arrived_at": received.arrived_at,
        "replied_at": received.replied_at,
        "closed_at": received.closed_at,
    }
    if bodies:
        line["body"] = received.body.decode(errors="replace")
    return line


if __name__ == "__main__":
    main()
