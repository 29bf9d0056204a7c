"""Files found while a name is typed, in a repository of 50,000: the app-server, to a client.

A session is told one letter more each time, and the time is taken from that to the first answer
for it that has files; what the listing costs is apart.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

from harness import MS, Bench, Contender, Row

FILES = 50_000
FOLDERS = 2_000
WORDS = (
    *("server", "client", "protocol", "agent", "thread", "turn", "item", "store", "index"),
    *("model", "stream", "parse", "config", "util", "test", "render", "widget", "auth"),
    *("token", "queue", "worker", "cache", "route", "handler", "schema", "query"),
)
TYPED = "threadprotocol"
"""There is a file for each beginning of it."""


def measure(bench: Bench) -> list[Row]:
    """The contenders in turns, each with a server of its own."""
    root = bench.workspace()
    _fill(root)
    listed: dict[str, list[float]] = {}
    typed: dict[str, list[float]] = {}
    for number in range(min(3, bench.runs) + 1):
        for contender in bench.contenders[:2]:
            listing_s, keys_s = _session(contender, root)
            if number:  # the first is not counted
                listed.setdefault(contender.name, []).append(listing_s)
                typed.setdefault(contender.name, []).extend(keys_s)
    return [
        Row(
            f"{FILES:,} files listed for a search, in a server that just started",
            "ms",
            {name: median(found) * MS for name, found in listed.items()},
        ),
        Row(
            "… a letter typed, to the first files found: the slowest",
            "ms",
            {name: max(found) * MS for name, found in typed.items()},
            goal=100,
        ),
        Row(
            "… the median of the letters",
            "ms",
            {name: median(found) * MS for name, found in typed.items()},
        ),
    ]


def _fill(root: Path) -> None:
    folders = []
    for number in range(FOLDERS):
        names = (WORDS[(number * step) % len(WORDS)] for step in (1, 7, 11)[: 1 + number % 3])
        folders.append(root / "src" / "/".join(names) / f"part{number % 40}")
        folders[-1].mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        first, second = WORDS[number % len(WORDS)], WORDS[number * 7 % len(WORDS)]
        (folders[number % FOLDERS] / f"{first}_{second}{number}.py").touch()
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)


def _session(contender: Contender, root: Path) -> tuple[float, list[float]]:
    """Return how long the listing took, and each letter."""
    with subprocess.Popen(
        [*contender.argv, "app-server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=root,
        env=contender.environment(),
    ) as process:
        server = _Server(process)
        server.call(
            "initialize",
            clientInfo={"name": "bench", "version": "1"},
            capabilities={"experimentalApi": True},
        )
        began_s = time.perf_counter()
        server.call("fuzzyFileSearch", query=TYPED, roots=[str(root)])
        listing_s = time.perf_counter() - began_s
        server.call("fuzzyFileSearch/sessionStart", sessionId="s", roots=[str(root)])
        server.call("fuzzyFileSearch/sessionUpdate", sessionId="s", query=WORDS[-1])
        server.found(WORDS[-1])  # its listing is there
        keys_s: list[float] = []
        for end in range(1, len(TYPED) + 1):
            began_s = time.perf_counter()
            server.call("fuzzyFileSearch/sessionUpdate", sessionId="s", query=TYPED[:end])
            server.found(TYPED[:end])
            keys_s.append(time.perf_counter() - began_s)
        process.kill()
    return listing_s, keys_s


class _Server:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._told: list[dict[str, Any]] = []

    def call(self, method: str, **params: Any) -> None:
        assert self._process.stdin is not None
        asked = {"id": 1, "method": method, "params": params}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        while (message := self._next()).get("id") != 1:
            self._told.append(message)
        if "result" not in message:
            raise RuntimeError(f"{method}: {message}")

    def found(self, query: str) -> None:
        """Wait for files that were found for `query`."""
        while True:
            message = self._told.pop(0) if self._told else self._next()
            params = message.get("params", {})
            if params.get("query") == query and params.get("files"):
                return

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server ended")
        message: dict[str, Any] = json.loads(line)
        return message
