"""The one door: a host is judged, resolved, judged again, and exactly that address is dialled.

Nothing else in this package resolves a name or opens a connection. A name is resolved once for a
connection, so an answer that changes later (rebinding) changes nothing.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import anyio
import anyio.to_thread

from octavo.sandbox.net import (
    Ask,
    Blocked,
    OnBlocked,
    Protocol,
    Reason,
    Refused,
    Resolve,
    Unreachable,
)
from octavo.sandbox.net.hosts import Address, as_address
from octavo.sandbox.net.rules import Allowed, HostRules

RESOLVE_S = 15.0
DIAL_S = 10.0
MAX_ADDRESSES = 4
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def _ignore(_: Blocked) -> None:
    """Nobody wants to know."""


async def resolve_by_system(name: str) -> Sequence[str]:
    """Resolve as this machine does: hosts file, then its name servers."""
    found = await anyio.to_thread.run_sync(_getaddrinfo, name, abandon_on_cancel=True)
    return list(dict.fromkeys(found))


def _getaddrinfo(name: str) -> list[str]:
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in answers]


class Gate:
    """What lets connections out.

    Attributes:
        rules: may be replaced at any time; holds for the next request or connection.
        limited: only GET, HEAD and OPTIONS without a body in plain HTTP, and nothing that cannot be
            read.
    """

    def __init__(
        self,
        rules: HostRules,
        *,
        on_blocked: OnBlocked = _ignore,
        ask: Ask | None = None,
        resolve: Resolve = resolve_by_system,
        limited: bool = False,
    ) -> None:
        self.rules = rules
        self.limited = limited
        self._on_blocked = on_blocked
        self._ask = ask
        self._resolve = resolve
        self._questions: dict[tuple[str, int], _Question] = {}

    def refuse(
        self, host: str, port: int, protocol: Protocol, reason: Reason, detail: str = ""
    ) -> Refused:
        """Tell that something was blocked, and return what to raise."""
        return self._refuse(Blocked(host, port, protocol, reason, detail))

    def _refuse(self, blocked: Blocked) -> Refused:
        self._on_blocked(blocked)
        return Refused(blocked)

    async def admit(self, host: str, port: int, protocol: Protocol, method: str = "") -> Allowed:
        """Return the host if it may be reached; wait for a person where that can be asked.

        Args:
            host: as it was written by whoever wants to reach it.
            port: from 1 to 65535.
            protocol: what it was asked for with.
            method: of the HTTP request, with what it brings; "" for a connection whose content
                is not read.

        Raises:
            Refused: it may not.
        """
        verdict = self.rules.check(host, port, protocol=protocol)
        if (
            isinstance(verdict, Blocked)
            and verdict.reason == "not_allowed"
            and self._ask is not None
            and await self._ask_once(self._ask, verdict.host, port)
        ):
            verdict = Allowed(verdict.host, port)
        if isinstance(verdict, Blocked):
            raise self._refuse(verdict)
        if self.limited and method not in READING_METHODS:
            what = method or "a connection whose content cannot be read"
            raise self.refuse(verdict.host, port, protocol, "method_not_allowed", what)
        return verdict

    def resolvable(self, name: str) -> bool:
        """Whether a program may learn that `name` exists. Nothing is looked up, nobody asked."""
        verdict = self.rules.check(name, 0, protocol="dns")
        if isinstance(verdict, Blocked):
            self._on_blocked(verdict)
        return isinstance(verdict, Allowed)

    async def _ask_once(self, ask: Ask, host: str, port: int) -> bool:
        """Ask, or wait for the answer to the same question."""
        question = self._questions.setdefault((host, port), _Question())
        question.waiting += 1
        try:
            async with question.lock:
                if question.answer is None:
                    question.answer = await ask(host, port)
                return question.answer
        finally:
            question.waiting -= 1
            if not question.waiting:
                del self._questions[host, port]

    async def dial(self, allowed: Allowed, protocol: Protocol) -> socket.socket:
        """Connect to an admitted host.

        Raises:
            Refused: no address of it may be dialled.
            Unreachable: it has no address, or none answers.
        """
        addresses = await self.addresses(allowed)
        refusals = [
            self.rules.check_address(allowed, address, protocol=protocol) for address in addresses
        ]
        good = [
            address for address, refusal in zip(addresses, refusals, strict=True) if refusal is None
        ]
        if not good:
            raise self._refuse(next(refusal for refusal in refusals if refusal is not None))
        why = ""
        for address in good[:MAX_ADDRESSES]:
            try:
                return await _connect(address, allowed.port)
            except OSError as error:
                why = (os.strerror(error.errno) if error.errno else str(error)).lower()
        raise Unreachable(f"{allowed.host}:{allowed.port} cannot be reached: {why}.")

    async def addresses(self, allowed: Allowed) -> list[Address]:
        """Return the addresses of an admitted host. Raises Unreachable where it has none."""
        address = as_address(allowed.host)
        if address is not None:
            return [address]
        found: list[Address] = []
        try:
            with anyio.fail_after(RESOLVE_S):
                found += map(ip_address, await self._resolve(allowed.host))
        except (OSError, ValueError):
            found.clear()
        if not found:
            raise Unreachable(f"{allowed.host} cannot be resolved.")
        return found


class _Question:
    """One question to a person, and everybody who waits for its answer."""

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.answer: bool | None = None
        self.waiting = 0


async def _connect(address: Address, port: int) -> socket.socket:
    """Connect, without a name anywhere. Raises OSError."""
    async with _fresh_socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as sock:
        error = sock.connect_ex((str(address), port))
        if error == errno.EINPROGRESS:
            with anyio.fail_after(DIAL_S):
                await anyio.wait_writable(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        return sock


@asynccontextmanager
async def _fresh_socket(family: socket.AddressFamily) -> AsyncIterator[socket.socket]:
    """Close the socket again if it did not come to anything."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock
    except BaseException:
        sock.close()
        raise
