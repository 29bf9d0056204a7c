"""A server over HTTP, made with the official package. Prints its port, then serves.

With an argument, only those get in who bring it as a bearer token. With the argument `--stdio`, it
serves its pipes instead.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

TOKEN = sys.argv[1] if len(sys.argv) > 1 else None
server = MCPServer("official", instructions="Adds.")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def big(size: int) -> str:
    """Say very much."""
    return "x" * size


@server.tool()
async def grow(ctx: Context) -> str:
    """Get one more tool, and log it."""

    def grown() -> str:
        """Say that it came later."""
        return "I am new."

    server.add_tool(grown)
    await ctx.notify_tools_changed()
    await ctx.info("I have grown.")
    return "Done."


@server.prompt()
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Greet {name}."


@server.resource("notes://today")
def today() -> str:
    """What is to be done."""
    return "Water the plants."


def guarded(app: ASGIApp) -> ASGIApp:
    """Let only those in who have the token."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and TOKEN is not None:
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            if given != f"Bearer {TOKEN}":
                await PlainTextResponse("No.", 401)(scope, receive, send)
                return
        await app(scope, receive, send)

    return guard


def main() -> None:
    """Serve until killed."""
    if TOKEN == "--stdio":
        print("Ready to grow.", file=sys.stderr, flush=True)
        server.run("stdio")
        return
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    app = guarded(server.streamable_http_app())
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])


main()
