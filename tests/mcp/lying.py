"""A server over HTTP that answers with whatever a test wants, in threads of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = object()
"""Instead of a body: nothing ever comes."""


class Liar:
    """A server.

    Attributes:
        origin: scheme, host and port of it.
        pages: what it answers at a path: status, headers, a body. Else it answers 404.
        asked: methods and paths of the requests it got.
        tokens: what they brought to be let in.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.pages: dict[str, tuple[int, Mapping[str, str], Any]] = {}
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.end = threading.Event()

    def wants_login(self, challenge: str = "Bearer") -> None:
        """Refuse who has no token."""
        self.pages["/mcp"] = (401, {"WWW-Authenticate": challenge}, b"")

    def resource(self, **said: Any) -> None:
        """Say of what the tokens are, and who gives them."""
        metadata = {
            "resource": f"{self.origin}/mcp",
            "authorization_servers": [self.origin],
            **said,
        }
        self.pages["/.well-known/oauth-protected-resource/mcp"] = (200, {}, metadata)

    def authority(self, **said: Any) -> None:
        """Be an authorization server as well."""
        metadata = {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "code_challenge_methods_supported": ["S256"],
            **said,
        }
        self.pages["/.well-known/oauth-authorization-server"] = (200, {}, metadata)


@contextmanager
def lying() -> Iterator[Liar]:
    """Serve until the end of the context."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            liar.asked.append(f"{self.command} {self.path}")
            liar.tokens.append(self.headers.get("Authorization"))
            size = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(size)
            status, headers, body = liar.pages.get(self.path, (404, {}, b""))
            if body is HANG:
                liar.end.wait(30)
                return
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:  # nobody wants the rest
                return

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    liar = Liar(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield liar
    finally:
        liar.end.set()
        server.shutdown()
        thread.join()
        server.server_close()
