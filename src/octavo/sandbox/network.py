"""The outer end of a cage's network: who answers what commands ask for, and who hears of it.

Nothing of `sandbox.net` is loaded before a command asks for the first host, unless there is a list
of hosts to be read.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any

import anyio

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Network
from octavo.sandbox.cage import listeners
from octavo.sandbox.policy import forwarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from octavo.sandbox.net import Blocked, Listeners, OnBlocked, Resolve
    from octavo.sandbox.net.gate import Gate
    from octavo.sandbox.net.rules import HostRules
    from octavo.sandbox.net.tunnel import Ports

TOLD_AT_MOST = 256
TOLD_AGAIN_S = 1.0

_NAMES = {
    (listeners.PROXY_PORT, socket.SOCK_STREAM): "proxy",
    (listeners.SOCKS_PORT, socket.SOCK_STREAM): "socks",
    (listeners.DNS_PORT, socket.SOCK_DGRAM): "dns_udp",
    (listeners.DNS_PORT, socket.SOCK_STREAM): "dns_tcp",
    (listeners.HTTP_PORT, socket.SOCK_STREAM): "http",
    (listeners.HTTPS_PORT, socket.SOCK_STREAM): "https",
}


class CageNetwork:
    """Answers the listeners of one cage, by the policy."""

    def __init__(
        self,
        network: Network,
        *,
        on_blocked: OnBlocked | None = None,
        resolve: Resolve | None = None,
        ports: Ports | None = None,
    ) -> None:
        """Read the patterns.

        Args:
            network: whom commands may reach.
            on_blocked: told what was not let through, see `Teller`.
            resolve: says the addresses of a name; by default this machine does.
            ports: what connections to the captured ports are for, if not 80 and 443.

        Raises:
            ConfigError: a pattern makes no sense.
        """
        self._network = network
        self._resolve = resolve
        self._ports = ports
        self._teller = Teller(on_blocked)
        self._gate: Gate | None = None
        self._sockets: list[socket.socket] = []
        self._made = anyio.Event()
        self._rules = _rules(network) if network.access == "hosts" else None
        self.environment: Mapping[str, str] = {}
        """What commands are told about it."""

    @property
    def wanted(self) -> bool:
        """Whether a cage has a network of its own at all."""
        return self._network.access != "open"

    def begin(self, fds: Sequence[int]) -> None:
        """The cage stands, and these are its listeners."""
        self._sockets = [socket.socket(fileno=fd) for fd in fds]
        if self._rules is not None and self._sockets:
            from octavo.sandbox.net.environment import proxy_environment

            self.environment = proxy_environment()
        self._made.set()

    def command_begins(self) -> None:
        """What was told before may be told again."""
        self._teller.forget()

    def allow(self, patterns: Sequence[str]) -> None:
        """Let these hosts be reached as well, from the next connection on.

        Raises:
            ConfigError: a pattern makes no sense; nothing has changed.
            SandboxError: the cage has no list of hosts.
        """
        if self._rules is None or (self._made.is_set() and not self._sockets):
            raise SandboxError(
                "No host can be added to a sandbox that has no list of allowed hosts.",
                hint="It has to be started with one.",
            )
        self._rules = self._rules.with_allowed(*patterns)
        if self._gate is not None:
            self._gate.rules = self._rules

    async def serve(self) -> None:
        """Answer until cancelled; nobody listens after that."""
        try:
            await self._made.wait()
            if not self._sockets:
                return
            await _until_called(self._sockets)
            await self._serve()
        finally:
            self.close()

    async def _serve(self) -> None:
        from octavo.sandbox.net.gate import Gate
        from octavo.sandbox.net.rules import HostRules
        from octavo.sandbox.net.serve import DEFAULT_PORTS, serve

        more: dict[str, Any] = {} if self._resolve is None else {"resolve": self._resolve}
        self._gate = Gate(
            self._rules or HostRules(),
            on_blocked=self._teller.tell,
            limited=self._network.reading_only,
            **more,
        )
        listeners = _by_name(self._sockets, forwarded(self._network))
        await serve(listeners, self._gate, ports=self._ports or DEFAULT_PORTS)

    def close(self) -> None:
        """Close the listeners, however far it came."""
        for sock in self._sockets:
            sock.close()


class Teller:
    """Tells what was blocked, without being flooded.

    The same thing is told once a second, or once since a command was started, and of different
    things at most `TOLD_AT_MOST`. Questions that no person means are not told at all: names of
    addresses, and names of one word, such as this machine's.
    """

    def __init__(
        self, on_blocked: OnBlocked | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._on_blocked = on_blocked
        self._clock = clock
        self._since = clock()
        self._told: set[Blocked] = set()

    def forget(self) -> None:
        self._told.clear()

    def tell(self, blocked: Blocked) -> None:
        if self._on_blocked is None or (blocked.protocol == "dns" and _is_noise(blocked.host)):
            return
        now = self._clock()
        if now - self._since >= TOLD_AGAIN_S:
            self._since = now
            self._told.clear()
        if blocked not in self._told and len(self._told) < TOLD_AT_MOST:
            self._told.add(blocked)
            self._on_blocked(blocked)


def _is_noise(name: str) -> bool:
    return "." not in name or name.endswith((".arpa", ".localhost"))


def _rules(network: Network) -> HostRules:
    from octavo.sandbox.net.rules import HostRules

    return HostRules(network.allow, network.deny, network.allow_local)


def _by_name(sockets: Sequence[socket.socket], forwards: Mapping[int, str]) -> Listeners:
    from octavo.sandbox.net import Listeners

    named: dict[str, socket.socket] = {}
    others: list[tuple[str, socket.socket]] = []
    for sock in sockets:
        port = sock.getsockname()[1]
        if port in forwards:
            others.append((forwards[port], sock))
        else:
            named[_NAMES[port, sock.type]] = sock
    return Listeners(forwards=tuple(others), **named)


async def _until_called(sockets: Sequence[socket.socket]) -> None:
    """Wait until one of the sockets has something for us."""
    with select.epoll() as any_of_them:
        for sock in sockets:
            any_of_them.register(sock.fileno(), select.EPOLLIN)
        await anyio.wait_readable(any_of_them.fileno())
