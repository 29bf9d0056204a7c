"""Where clients come from: standard input and output, or a socket; `listen_ws` has websockets.

Over standard input and output there is one client, and the server ends when it does. At a socket
there are as many as come; it ends by a signal. Either way every thread is closed first, and who is
still connected is told of it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio

from octavo.protocol.errors import OctavoError, UsageError
from octavo.rpc.stream import StreamLink, socket_link
from octavo.server.connection import FINISH_S
from octavo.server.outbox import CUT_OFF_BYTES
from octavo.server.server import Server

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BACKLOG = 128
_TRY_AGAIN_S = 0.2
"""How long to wait with the next client when the system has no room for it."""


async def serve_stdio(server: Server, into: int, out: int) -> str | None:
    """Serve one client over two descriptors, until it ends its output or a signal comes.

    What it asked before is still answered, and what becomes of its threads is still told.

    Returns:
        Why the client was cut off, if it was.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(_heed_signals, server.leave)
        link = StreamLink(into, out)
        dropped = await server.connect(
            link, cut_off_bytes=CUT_OFF_BYTES, finish_s=FINISH_S, at_end=server.close
        )
        group.cancel_scope.cancel()
    return dropped


async def serve_unix(server: Server, path: Path, say: Callable[[str], None]) -> None:
    """Serve every client that comes to the socket at `path`, until a signal comes.

    Args:
        say: told, in a sentence, that the socket is there, and of every client that is cut off.

    Raises:
        OctavoError: another server has the socket, or there cannot be one.
    """
    with _listening(path) as listener:
        say(f"Listening at unix://{path}.")
        silent: set[anyio.CancelScope] = set()

        def hush() -> None:
            for scope in silent:
                scope.cancel()

        await serve_all(server, listener, lambda it: _serve(server, it, say, silent), hush)


async def serve_all(
    server: Server,
    listener: socket.socket,
    serve: Callable[[socket.socket], Coroutine[Any, Any, None]],
    at_end: Callable[[], None] = lambda: None,
) -> None:
    """Serve every client that comes to `listener`, until a signal comes.

    Args:
        serve: serves one, which is its to close.
        at_end: called when nobody is let in any more.
    """
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as clients:
            with anyio.CancelScope() as accepting:
                group.start_soon(_heed_signals, accepting.cancel)
                await _accept(listener, lambda it: clients.start_soon(serve, it))
            at_end()
            await server.close()
            server.leave()
        group.cancel_scope.cancel()


async def _accept(listener: socket.socket, serve: Callable[[socket.socket], object]) -> None:
    while True:
        await anyio.wait_readable(listener)
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # it has gone again
            continue
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            await anyio.sleep(_TRY_AGAIN_S)
            continue
        serve(connection)


async def _serve(
    server: Server,
    connection: socket.socket,
    say: Callable[[str], None],
    silent: set[anyio.CancelScope],
) -> None:
    """Serve a client in lines, or over a websocket if that is how it begins, as Codex's do.

    Args:
        silent: where to cancel the wait for its first word.
    """
    connection.setblocking(False)
    with connection:
        if await _first_byte(connection, silent) == b"G":  # of GET; no line of JSON begins so
            from octavo.rpc.websocket import is_installed

            if is_installed():
                from octavo.server.listen_ws import Door

                await Door(server, lambda _: None, say).welcome(connection)
                return
        link = socket_link(connection)
        try:
            dropped = await server.connect(link, cut_off_bytes=CUT_OFF_BYTES, finish_s=FINISH_S)
        finally:
            link.close()
    if dropped is not None:
        say(f"A client was cut off. {dropped}")


async def _first_byte(connection: socket.socket, silent: set[anyio.CancelScope]) -> bytes:
    """Return what the client begins with, and leave it there; b"" when nothing came."""
    with anyio.CancelScope() as scope:
        silent.add(scope)
        try:
            await anyio.wait_readable(connection)
            return connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return b""
        finally:
            silent.discard(scope)
    return b""


async def _heed_signals(end: Callable[[], None]) -> None:
    """Call `end` at the first signal; a second one does not wait for the end."""
    ending = False
    with anyio.open_signal_receiver(*SIGNALS) as signals:
        async for received in signals:
            if ending:
                os._exit(128 + received)
            ending = True
            end()


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """A socket at `path` that only its owner can connect to; it is gone afterwards.

    It is made beside `path` and moved there, so that there is never one that others can use, and
    what a server left behind that was killed is replaced in one go.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made = path.with_name(f".{path.name}.{os.getpid()}")
    with listener:
        listener.setblocking(False)
        try:
            _check_free(path)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mask = os.umask(0o177)
            try:
                listener.bind(str(made))
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
            made.rename(path)
        except OSError as error:
            made.unlink(missing_ok=True)
            raise OctavoError(
                f"There cannot be a socket at {path}: {error.strerror or error}.",
                hint="Name another path: --listen unix://PATH.",
            ) from None
        ours = path.lstat().st_ino
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.lstat().st_ino == ours:
                    path.unlink()


def _check_free(path: Path) -> None:
    """Raises UsageError when something is at `path` that is not ours to replace."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{path} is there, and is no socket.", hint="Name another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
        except BlockingIOError:
            pass  # it is there, and busy
    raise UsageError(
        f"Another server listens at {path}.", hint="Connect to that one, or name another path."
    )
