"""The network of a cage: allowed hosts only, and only through here.

The cage makes the listening sockets inside its own network namespace, from which no route leads
out, and hands them over as `Listeners`; `serve.serve` answers them from outside of it. So there is
no relay process, and a program that ignores proxy variables reaches the same door: names resolve
to made-up addresses, and ports 80 and 443 are captured.

Not an inspection of content: what is said to an allowed host is not read, and a server that
answers for several names behind one address can be told another name inside TLS.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

Protocol = Literal["http", "https", "socks5", "dns"]
"""How a host was asked for; "https" is CONNECT or a captured port 443."""

Reason = Literal[
    "not_allowed",
    "denied",
    "not_allowed_local",
    "method_not_allowed",
    "not_a_host",
    "other_name",
    "no_name",
]
"""Why a host was blocked; the first four are Codex's words.

Only "not_allowed" is ever asked about. "other_name": a request or a TLS handshake named another
host than the connection is for. "no_name": it named none where a name is needed.
"""


class Listeners(msgspec.Struct, frozen=True):
    """Bound sockets of a cage's network namespace; streams need not listen yet. None: not served.

    Whoever serves them closes them.
    """

    proxy: socket.socket | None = None
    """127.0.0.1:3128, HTTP and CONNECT."""
    socks: socket.socket | None = None
    """127.0.0.1:1080, SOCKS5."""
    dns_udp: socket.socket | None = None
    """127.0.0.1:53, datagrams."""
    dns_tcp: socket.socket | None = None
    """127.0.0.1:53, stream."""
    http: socket.socket | None = None
    """0.0.0.0:80, captured."""
    https: socket.socket | None = None
    """0.0.0.0:443, captured."""
    forwards: tuple[tuple[str, socket.socket], ...] = ()
    """127.0.0.1 with the port of a local server that may be reached, and the server's host."""


class Blocked(msgspec.Struct, frozen=True):
    """One thing that was not let through. `host` is safe to show: odd bytes are escaped."""

    host: str
    port: int
    """0 for a name that was only looked up."""
    protocol: Protocol
    reason: Reason
    detail: str = ""
    """What exactly was wrong, where `reason` does not say it all."""

    def __str__(self) -> str:
        """One sentence for a person or a model."""
        place = f"{self.host}:{self.port}" if self.port else self.host
        match self.reason:
            case "not_allowed":
                return f"{place} is not allowed: it is not on the list of hosts."
            case "denied":
                return f"{place} is not allowed: it is denied by the list of hosts."
            case "not_allowed_local":
                where = self.detail or "a local or private address"
                return f"{place} is not allowed: it is {where}, and not listed as such."
            case "method_not_allowed":
                return f"{place}: {self.detail} is not allowed; the network is for reading only."
            case "not_a_host":
                return f"{place} is not a host: {self.detail}."
            case "other_name":
                return f"{place} is not allowed: {self.detail}."
            case "no_name":
                return f"{place} is not allowed: the TLS handshake names no host."


class Refused(Exception):
    """Something was not let through. Raised inside this package, and told to `on_blocked`."""

    def __init__(self, blocked: Blocked) -> None:
        super().__init__(str(blocked))
        self.blocked = blocked


class Unreachable(Exception):
    """An allowed host could not be reached; `str` is one sentence."""


OnBlocked = Callable[[Blocked], None]
"""Told of everything that was blocked, as often as it happens; must return at once."""

Ask = Callable[[str, int], Awaitable[bool]]
"""May this host be reached on this port, this once? The connection waits for the answer."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name, best first; raises OSError if there are none."""
