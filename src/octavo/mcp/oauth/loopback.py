"""Where a person's browser comes back to: one page on 127.0.0.1, for one login.

Everything on the machine, and every web page, can send something here. What does not have the path
and the state of this login is refused, and the login goes on.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.abc

from octavo.mcp.oauth.endpoints import LoginFailed
from octavo.mcp.oauth.words import Visited
from octavo.protocol.errors import OctavoError
from octavo.protocol.visible import visible_line

REQUEST_LIMIT_BYTES = 16 << 10
READ_S = 5.0
AT_ONCE = 16
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
_BACK = "octavo has its answer. You can close this page and go on where you began."
_NOT_HERE = "Nothing here belongs to a login that octavo waits for."


class Loopback:
    """Waits for the browser. Made by `loopback`.

    Attributes:
        redirect_uri: where it is to come back to.
    """

    def __init__(self, port: int) -> None:
        self._path = f"/callback/{secrets.token_urlsafe(16)}"
        self._host = f"127.0.0.1:{port}"
        self.redirect_uri = f"http://{self._host}{self._path}"
        self._state: str | None = None
        self._came = anyio.Event()
        self._answer: Visited | LoginFailed | None = None
        self._room = anyio.Semaphore(AT_ONCE)

    def expect(self, state: str) -> None:
        """Take the browser that brings this state, and no other."""
        self._state = state

    async def back(self) -> Visited:
        """Wait for that browser.

        Raises:
            LoginFailed: the person, or the authorization server, said no.
        """
        await self._came.wait()
        assert self._answer is not None
        if isinstance(self._answer, LoginFailed):
            raise self._answer
        return self._answer

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one connection."""
        async with self._room, stream:
            try:
                with anyio.fail_after(READ_S):
                    head = await _head(stream)
                    found = self.judge(head)
                    text = _BACK if found else _NOT_HERE
                    await stream.send(_page(200 if found else 400, text))
            except (OSError, *_GONE, ValueError):  # a timeout is an OSError
                return
            if found is not None and self._answer is None:
                self._answer = found
                self._came.set()

    def judge(self, head: bytes) -> Visited | LoginFailed | None:
        """Return what a request brings; None where it is not of this login. Raises ValueError."""
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, _ = first.split(" ")
        headers = [line.split(":", 1) for line in lines if ":" in line]
        hosts = [value.strip() for name, value in headers if name.lower() == "host"]
        parts = urlsplit(target)
        if method != "GET" or hosts != [self._host] or not compare_digest(parts.path, self._path):
            return None
        pairs = parse_qsl(parts.query, max_num_fields=20, errors="strict")
        given = dict(pairs)
        state = given.get("state", "")
        if self._state is None or len(given) != len(pairs):
            return None
        if not compare_digest(state.encode(), self._state.encode()):
            return None
        if "error" in given:
            return _refusal(given["error"], given.get("error_description", ""))
        if not given.get("code"):
            return None
        return Visited(given["code"], state, given.get("iss"))


@asynccontextmanager
async def loopback() -> AsyncIterator[Loopback]:
    """Listen on a port that is free, on this machine only."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    back = Loopback(port)
    failure: OctavoError | OSError | None = None
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, back.serve)
        try:
            yield back
        except (OctavoError, OSError) as error:  # out of here it would come in a group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _refusal(error: str, description: str) -> LoginFailed:
    if error == "access_denied":
        return LoginFailed("The login was not allowed: it was declined in the browser.")
    said = visible_line(f"{error} {description}".strip())[:300]
    return LoginFailed(f"The authorization server refused the login: {said}.")


async def _head(stream: anyio.abc.ByteReceiveStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > REQUEST_LIMIT_BYTES:
            raise ValueError("too long")
        data += await stream.receive()
    return data.split(b"\r\n\r\n", 1)[0]


def _page(status: int, text: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>octavo</title><p>{text}\n".encode()
    head = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
        "Content-Security-Policy": "default-src 'none'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    reason = "OK" if status == 200 else "Bad Request"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
