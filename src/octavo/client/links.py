"""Ways to a server: a process of one's own, or a socket that one listens at.

Each is a context that yields a `Link` and leaves nothing behind: no process, no descriptor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc

from octavo.protocol.errors import OctavoError
from octavo.rpc import Link
from octavo.rpc.stream import StreamLink, socket_link

END_S = 15.0
"""How long a server may take to close its threads before it is told to go."""
KILL_S = 5.0
"""And then, before it is killed."""
_AGAIN_S = 0.02
"""How long to wait where so many connect at once that the socket has no room."""


@asynccontextmanager
async def program_link(
    command: Sequence[str] | None = None, *, env: Mapping[str, str] | None = None
) -> AsyncIterator[Link]:
    """Start a server as a process and talk to it over its standard input and output.

    Leaving the context ends its input, so that it closes its threads; it is waited for. What it
    says on stderr goes where this process's goes.

    Args:
        command: how; by default this Python's `octavo app-server`.
        env: its environment; by default this process's.

    Raises:
        OctavoError: it could not be started.
    """
    # -P: what lies in the working directory is not what is started.
    own = [sys.executable, "-P", "-m", "octavo", "app-server"]
    argv = own if command is None else list(command)
    their_in, our_out = os.pipe()
    our_in, their_out = os.pipe()
    try:
        process = await anyio.open_process(
            argv, stdin=their_in, stdout=their_out, stderr=None, env=env
        )
    except OSError as error:
        for fd in (our_in, our_out):
            os.close(fd)
        raise OctavoError(
            f"{argv[0]} cannot be started: {error.strerror or error}.",
            hint="Name the octavo to start.",
        ) from None
    finally:
        os.close(their_in)
        os.close(their_out)
    os.set_blocking(our_in, False)
    link = StreamLink(our_in, our_out)
    try:
        yield link
    finally:
        link.close()
        os.close(our_out)
        with anyio.CancelScope(shield=True):
            await _end(process)
        os.close(our_in)


async def _end(process: anyio.abc.Process) -> None:
    for seconds, more in ((END_S, process.terminate), (KILL_S, process.kill)):
        with anyio.move_on_after(seconds):
            await process.wait()
            return
        try:
            more()
        except ProcessLookupError:
            pass
    await process.wait()


@asynccontextmanager
async def unix_link(path: str | Path) -> AsyncIterator[Link]:
    """Connect to the server that listens at the socket `path`.

    Raises:
        OctavoError: none does.
    """
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        while True:
            try:
                connection.connect(os.fspath(path))
                break
            except BlockingIOError:
                await anyio.sleep(_AGAIN_S)
            except OSError as error:
                raise OctavoError(
                    f"No server can be reached at {path}: {error.strerror or error}.",
                    hint=f"Start one: octavo app-server --listen unix://{path}",
                ) from None
        link = socket_link(connection)
        try:
            yield link
        finally:
            link.close()


__all__ = ["program_link", "unix_link"]
