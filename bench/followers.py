"""200 websocket clients on one thread whose model streams 100 pieces a second.

The clients are plain sockets in this process: they keep what comes and look at it when it is over,
as they share the machine with the server. A turn that one client follows is the measure for one
that all do; each client must have been told every piece, in order.
"""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from harness import Bench, Row, message
from load import HELLO, argv

CLIENTS = 200
PIECES = 1000
GAP_S = 0.01
DEADLINE_S = 120
TEXT = " ".join(f"piece{n:04}" for n in range(PIECES))


class Turn(NamedTuple):
    """What one took: on the clock, from asked to told, and of the server's processor."""

    wall_s: float
    cpu_s: float


class Client:
    """A websocket, as raw bytes."""

    def __init__(self, port: int, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.data = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        while b"\r\n\r\n" not in self.data:
            self.read()
        status, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        if not status.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(status.decode())
        self.data = bytearray(rest)
        self._ids = 0
        self.call("initialize", HELLO)

    def read(self) -> None:
        """Take what has come."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server hung up")
        self.data += data

    def send(self, method: str, params: Any) -> int:
        """Ask; the masking key is zero, which leaves a payload as it is."""
        self._ids += 1
        body = json.dumps({"id": self._ids, "method": method, "params": params}).encode()
        size = bytes([0x80 | len(body)]) if len(body) < 126 else b"\xfe" + len(body).to_bytes(2)
        self.socket.sendall(b"\x81" + size + bytes(4) + body)
        return self._ids

    def call(self, method: str, params: Any) -> Any:
        """Ask, and wait for the answer; nothing else may have come that matters."""
        asked = self.send(method, params)
        while True:
            for told in self.messages():
                if told.get("id") == asked:
                    self.data.clear()
                    return told["result"]
            self.read()

    def messages(self) -> list[Any]:
        """Everything whole that has come."""
        found, at, data = [], 0, self.data
        while at + 2 <= len(data):
            size, start = data[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + width]), start + width
            if start + size > len(data):
                break
            if data[at] == 0x81:
                found.append(json.loads(data[start : start + size]))
            at = start + size
        return found


def measure(bench: Bench) -> list[Row]:
    """A turn alone, one with all, and so on."""
    script = [message() | {"parts": [{"type": "text", "text": TEXT, "deltas": PIECES}]}]
    script = [one | {"gap_s": GAP_S, "times": 100} for one in script]
    alone: list[Turn] = []
    followed: list[Turn] = []
    with bench.model(script) as model:
        words = [*argv(bench.octavo, model.base_url), "--listen", "ws://127.0.0.1:0"]
        with subprocess.Popen(
            words, stderr=subprocess.PIPE, text=True, env=bench.octavo.environment()
        ) as server:
            try:
                port = _port(server)
                token = (bench.octavo.home / "state" / "app-server.token").read_text().strip()
                for _ in range(min(3, bench.runs)):
                    alone.append(_turn(server.pid, port, token, bench.workspace(), 0))
                    followed.append(_turn(server.pid, port, token, bench.workspace(), CLIENTS))
            finally:
                server.terminate()
    slower = [all_.wall_s / one.wall_s for one, all_ in zip(alone, followed, strict=True)]
    more_us = [
        (all_.cpu_s - one.cpu_s) * 1e6 / (PIECES * CLIENTS)
        for one, all_ in zip(alone, followed, strict=True)
    ]
    return [
        Row(
            f"{CLIENTS} websocket clients, 100 events a second each: the turn takes",
            "×",
            {"octavo": sorted(slower)[len(slower) // 2]},
            goal=1.10,
            note="of the time it takes with one client; every client was told everything, in order",
        ),
        Row(
            "… processor for an event to a client",
            "µs",
            {"octavo": sorted(more_us)[len(more_us) // 2]},
        ),
    ]


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"Listening at ws://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise RuntimeError("the server did not start")


def _turn(pid: int, port: int, token: str, cwd: Path, followers: int) -> Turn:
    first = Client(port, token)
    clients = [first, *(Client(port, token) for _ in range(followers))]
    asked = {"cwd": str(cwd), "approvalPolicy": "never", "ephemeral": True}
    thread_id = first.call("thread/start", asked)["thread"]["id"]
    for client in clients[1:]:
        client.call("thread/resume", {"threadId": thread_id})
    before_s = _cpu_s(pid)
    began_s = time.perf_counter()
    text = [{"type": "text", "text": "Go on."}]
    first.send("turn/start", {"threadId": thread_id, "input": text})
    wall_s = 0.0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        open_ = set(map(id, clients))
        while open_:
            if time.perf_counter() - began_s > DEADLINE_S:
                raise RuntimeError(f"{len(open_)} clients were not told of the end")
            for key, _ in selector.select(1):
                client = key.data
                client.read()
                if b'"turn/completed"' in client.data[-8192:]:
                    open_.discard(id(client))
                    if client is first:
                        wall_s = time.perf_counter() - began_s
    cpu_s = _cpu_s(pid) - before_s
    for client in clients:
        said = "".join(
            told["params"]["delta"]
            for told in client.messages()
            if told.get("method") == "item/agentMessage/delta"
        )
        if said != TEXT:
            raise RuntimeError(f"a client was told {len(said)} of {len(TEXT)} characters")
        client.socket.close()
    return Turn(wall_s, cpu_s)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
