"""A link to a server on a websocket, for `connect`.

async with (
    websocket_link("ws://127.0.0.1:4500", token=token) as link,
    connect(link, name="my_tool", version="1", answer=deny) as client,
):
    ...
"""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from octavo.protocol.errors import OctavoError, UsageError
from octavo.protocol.extras import missing
from octavo.rpc import Link
from octavo.rpc.websocket import is_installed


@asynccontextmanager
async def websocket_link(
    url: str, *, token: str | None = None, insecure: bool = False
) -> AsyncIterator[Link]:
    """The link, while the context lasts.

    Args:
        url: ws:// on this machine, wss:// anywhere.
        token: what the server was given with --ws-token-file, or a signed one.
        insecure: the token may go over the network unencrypted.

    Raises:
        UsageError: `url` is none of these.
        NotInstalled: the library is missing.
        OctavoError: the server is not there, or does not let this client in.
    """
    if not is_installed():
        raise missing("A websocket", "websockets", "ws")
    _check(url, insecure=insecure)
    from octavo.rpc.websocket_client import Refused, open_websocket

    link = None
    try:
        async with open_websocket(url, token=token) as link:
            yield link
    except Refused as refused:
        hint = "Is it the right token?" if refused.status == 401 else None
        said = f"{refused.status} {refused}".strip()
        raise OctavoError(f"{url} does not let this client in: {said}", hint=hint) from None
    except (OSError, TimeoutError) as error:
        if link is not None:
            raise
        raise OctavoError(
            f"Nobody answers at {url}: {str(error) or 'it takes too long'}.",
            hint="Start one there: octavo app-server --listen ws://IP:PORT",
        ) from None


def _check(url: str, *, insecure: bool) -> None:
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:
        scheme = host = ""
    if scheme not in ("ws", "wss") or not host:
        raise UsageError(f"{url!r} is no address of a websocket.", hint="ws://127.0.0.1:4500")
    if scheme == "ws" and not insecure and not _is_loopback(host):
        raise UsageError(
            f"{url} is another machine, and what is said would not be encrypted.",
            hint="Use wss://, forward the port with `ssh -L`, or say insecure=True.",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
