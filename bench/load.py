"""Many threads at once in one app-server: a client of the bench's own, the same for all of them.

It speaks lines of JSON over the server's standard input and output, and knows nothing of octavo.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from harness import MODEL, Contender
from spawn import proportional_bytes, tree

SAMPLE_EVERY_S = 0.25
DEADLINE_S = 600
HELLO = {"clientInfo": {"name": "bench", "version": "1"}}


class Load(NamedTuple):
    """What it took.

    Attributes:
        wall_s: from the first thread's start until the last turn had ended.
        cpu_s: of the server and everything it started, its start and end included.
        tree_bytes: peak of all processes, shared pages by their share; 0 if not watched.
        before_bytes: the same, when the server had answered and had no thread.
        finished: how many turns were completed, each with its last message.
    """

    wall_s: float
    cpu_s: float
    tree_bytes: int
    before_bytes: int
    finished: int


class Lines:
    """A client over a process's pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ended: dict[str, asyncio.Future[str]] = {}
        self._next_id = 0

    async def run(self) -> None:
        """Read until the server ends."""
        while line := await self._stdout.readline():
            message = json.loads(line)
            method = message.get("method")
            if method == "turn/completed":
                params = message["params"]
                self.ended(params["threadId"]).set_result(params["turn"]["status"])
            elif method is None and message.get("id") in self._waiting:
                waiting = self._waiting.pop(message["id"])
                if "error" in message:
                    waiting.set_exception(RuntimeError(str(message["error"])))
                else:
                    waiting.set_result(message["result"])

    def ended(self, thread_id: str) -> asyncio.Future[str]:
        """The status of a thread's first turn."""
        return self._ended.setdefault(thread_id, asyncio.get_running_loop().create_future())

    async def call(self, method: str, params: Any) -> Any:
        """Ask, and wait for the answer."""
        self._next_id += 1
        answer = self._waiting[self._next_id] = asyncio.get_running_loop().create_future()
        self.write({"id": self._next_id, "method": method, "params": params})
        return await answer

    def write(self, message: Any) -> None:
        """Send a message."""
        self._stdin.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """End the server's input."""
        self._stdin.close()


async def turn(client: Lines, cwd: Path) -> bool:
    """Start a thread, give it a turn, and say whether that was completed."""
    started = await client.call(
        "thread/start",
        {"cwd": str(cwd), "approvalPolicy": "never", "sandbox": "workspace-write", "model": MODEL},
    )
    thread_id = started["thread"]["id"]
    text = [{"type": "text", "text": "Go on.", "text_elements": []}]
    await client.call("turn/start", {"threadId": thread_id, "input": text})
    return await client.ended(thread_id) == "completed"


def argv(contender: Contender, base_url: str) -> list[str]:
    """The command line of a server whose model is at `base_url`."""
    provider = f'{{name="mock",base_url="{base_url}",env_key="MOCK_KEY",wire_api="responses"}}'
    settings = (f"model_providers.mock={provider}", 'model_provider="mock"')
    words = [word for one in settings for word in ("-c", one)]
    return [*contender.argv, "app-server", *words, "-c", f'model="{MODEL}"']


async def _load(
    contender: Contender, base_url: str, folders: list[Path], *, watch: bool
) -> tuple[float, int, int, int]:
    env = contender.environment()
    errors = contender.home / "stderr"
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *argv(contender, base_url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=env,
            limit=1 << 26,
        )
    peak = 0

    async def sample() -> None:
        nonlocal peak
        while True:
            peak = max(peak, sum(map(proportional_bytes, tree(process.pid))))
            await asyncio.sleep(SAMPLE_EVERY_S)

    client = Lines(process)
    reading = asyncio.create_task(client.run())
    watching = None
    try:
        async with asyncio.timeout(DEADLINE_S):
            await client.call("initialize", HELLO)
            client.write({"method": "initialized"})
            await client.call("thread/list", {})  # all of it is loaded
            before = sum(map(proportional_bytes, tree(process.pid)))
            watching = asyncio.create_task(sample()) if watch else None
            started_at = time.monotonic()
            done = await asyncio.gather(*(turn(client, folder) for folder in folders))
            wall_s = time.monotonic() - started_at
            client.close()
            await process.wait()
    finally:
        if watching is not None:
            watching.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()
    return wall_s, peak, before, sum(done)


def load(
    contender: Contender, base_url: str, threads: int, place: Path, *, watch: bool = False
) -> Load:
    """Have `threads` threads do a turn each, all at once, each in a folder of its own."""
    folders = [place / "load" / str(number) for number in range(threads)]
    for folder in folders:
        if not (folder / ".git").exists():
            folder.mkdir(parents=True)
            subprocess.run(["git", "init", "-q", str(folder)], check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s, peak, at_rest, done = asyncio.run(_load(contender, base_url, folders, watch=watch))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done != threads:
        errors = (contender.home / "stderr").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{contender.name}: {done} of {threads} turns were completed\n{errors}")
    return Load(wall_s, cpu_s, peak, at_rest, done)
