"""Who may come in at a websocket: what is looked at before anything of a client is believed.

A page in a browser can connect to this machine, also by a name of its own that leads here. So
whoever has an Origin is refused, and who calls the machine by a name other than localhost; the rest
must show the token. Nothing here tells a stranger more than that.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Collection
from hashlib import sha256

from octavo.rpc.websocket import Hello, Reply

Check = Callable[[str], str | None]
"""What is wrong with a token, in a few words; None when nothing is."""

_HEALTH = ("/healthz", "/readyz")
_SCHEME = "bearer "


class Gate:
    """Decides on each introduction.

    Args:
        check: looks at the token.
        names: what this machine may be called besides localhost, where a server that is known by
            them stands before this one.
    """

    def __init__(self, check: Check, names: Collection[str] = ()) -> None:
        self._check = check
        self._names = frozenset(name.lower() for name in names)

    def __call__(self, hello: Hello) -> Reply | None:
        """Return what the client is answered in place of a websocket; None to let it in."""
        if hello.origins:
            return Reply(403, "Requests of browsers are refused: they have an Origin.\n")
        if len(hello.hosts) != 1 or not is_here(hello.hosts[0], self._names):
            return Reply(403, "The Host must be an address, localhost, or a --ws-host.\n")
        if hello.path.partition("?")[0] in _HEALTH:
            return Reply(200, "")
        if len(hello.authorizations) != 1:
            return Reply(401, "Authorization: Bearer TOKEN is missing.\n")
        given = hello.authorizations[0]
        if given[: len(_SCHEME)].lower() != _SCHEME:
            return Reply(401, "Authorization: Bearer TOKEN is missing.\n")
        wrong = self._check(given[len(_SCHEME) :].strip())
        return None if wrong is None else Reply(401, f"{wrong}\n")


def is_here(host: str, names: Collection[str] = ()) -> bool:
    """Whether a Host header cannot be a name that somebody else has made to lead here."""
    name = host.strip().lower()
    if name.startswith("["):
        name, bracket, port = name[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return False
        port = port[1:]
    elif name.count(":") <= 1:
        name, _, port = name.partition(":")
    else:
        return False
    if port and not (port.isascii() and port.isdecimal()):
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def holds_token(digest: bytes) -> Check:
    """The check for one token, of which the SHA-256 is known."""

    def check(token: str) -> str | None:
        theirs = sha256(token.encode(errors="surrogateescape")).digest()
        return None if hmac.compare_digest(theirs, digest) else "This is not the token."

    return check
