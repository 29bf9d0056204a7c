"""Which hosts may be reached: patterns, and the one question they answer.

    example.com      the host itself
    *.example.com    everything below it, at any depth, but not itself
    **.example.com   itself and everything below it
    *                every public host; only in `allow`
    …:443            the same, on this port only
    192.0.2.7, [2001:db8::7]:443

Names are compared label by label, never as text. Denied beats allowed, and nothing is allowed that
is not listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from octavo.protocol.errors import ConfigError
from octavo.sandbox.net import Blocked, Protocol
from octavo.sandbox.net.addresses import LISTABLE, NAMEABLE, kind_of
from octavo.sandbox.net.hosts import (
    Address,
    NotAHost,
    as_address,
    canonical_host,
    shown,
    split_port,
)

_FORMS = "Write a host, *.host, **.host, or one of them with :port."


class Allowed(msgspec.Struct, frozen=True):
    """A host that may be reached, if its addresses may."""

    host: str
    """Canonical."""
    port: int
    local: bool = False
    """It is listed literally as something local, so its address may be."""


class HostRules:
    """An allow-list, a deny-list, and the local hosts that are meant.

    An entry of `allow_local` is an exact name or address; it is allowed, and may be at a loopback
    or private address. `allow` does the same for an address or "localhost" that it names exactly.
    No name ever leads to link-local or metadata addresses: those have to be listed as addresses.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        allow_local: Sequence[str] = (),
    ) -> None:
        """Read the patterns.

        Raises:
            ConfigError: one of them makes no sense; it says which, and why.
        """
        self.allow = tuple(allow)
        self.deny = tuple(deny)
        self.allow_local = tuple(allow_local)
        self._allow = _Patterns(self.allow, star=True)
        self._deny = _Patterns(self.deny)
        self._local = _Patterns(self.allow_local, wildcards=False)

    def with_allowed(self, *patterns: str) -> HostRules:
        """Return rules that allow these too; what is denied stays denied."""
        return HostRules((*self.allow, *patterns), self.deny, self.allow_local)

    def check(self, host: str, port: int, *, protocol: Protocol = "http") -> Allowed | Blocked:
        """Judge a host as it was asked for; port 0 asks whether any port of it is allowed.

        The addresses of an allowed name have still to be judged, with `check_address`.
        """
        try:
            name = canonical_host(host)
        except NotAHost as error:
            return Blocked(shown(host), port, protocol, "not_a_host", str(error))
        if self._deny.match(name, port, all_ports=True):
            return Blocked(name, port, protocol, "denied")
        address = as_address(name)
        is_local = address is not None or _is_localhost(name)
        if self._local.match(name, port) or (is_local and self._allow.names(name, port)):
            return Allowed(name, port, local=True)
        if address is not None and (kind := kind_of(address)) != "public":
            return Blocked(name, port, protocol, "not_allowed_local", f"a {kind} address")
        if _is_localhost(name):
            return Blocked(name, port, protocol, "not_allowed_local", "this machine")
        if not self._allow.match(name, port):
            return Blocked(name, port, protocol, "not_allowed")
        return Allowed(name, port)

    def check_address(
        self, allowed: Allowed, address: Address, *, protocol: Protocol = "http"
    ) -> Blocked | None:
        """Judge an address that an allowed host has; None if it may be dialled."""
        literal = as_address(allowed.host) is not None
        if self._deny.match(str(address), allowed.port, all_ports=True):
            return Blocked(allowed.host, allowed.port, protocol, "denied")
        kind = kind_of(address)
        if kind == "public" or (allowed.local and kind in (LISTABLE if literal else NAMEABLE)):
            return None
        where = f"at {address}, a {kind} address"
        return Blocked(allowed.host, allowed.port, protocol, "not_allowed_local", where)


class _Patterns:
    """Patterns by the labels they end in. A value is the ports; an empty set means all."""

    def __init__(
        self, patterns: Iterable[str], *, star: bool = False, wildcards: bool = True
    ) -> None:
        self._exact: dict[str, set[int]] = {}
        self._itself: dict[str, set[int]] = {}
        """What `**.` covers besides everything below."""
        self._below: dict[str, set[int]] = {}
        for text in patterns:
            try:
                self._add(text, star=star, wildcards=wildcards)
            except NotAHost as error:
                message = f'"{shown(text)}" is not a pattern for hosts: {error}.'
                raise ConfigError(message, hint=_FORMS) from None

    def _add(self, text: str, *, star: bool, wildcards: bool) -> None:
        if "/" in text or "@" in text:
            raise NotAHost("only the host is meant, without scheme, user or path")
        host, port = split_port(text)
        if host == "*":
            if not star:
                raise NotAHost("a * alone is only possible in the list of allowed hosts")
            _add_port(self._below, "", port)
            return
        first, dot, rest = host.partition(".")
        is_wild = first in ("*", "**") and bool(dot)
        base = rest if is_wild else host
        if "*" in base:
            raise NotAHost("a wildcard can only be the whole first part")
        if is_wild and not wildcards:
            raise NotAHost("a local host must be named exactly")
        base = canonical_host(base)
        if not is_wild:
            _add_port(self._exact, base, port)
            return
        if as_address(base) is not None:
            raise NotAHost("there is nothing below an address")
        _add_port(self._below, base, port)
        if first == "**":
            _add_port(self._itself, base, port)

    def match(self, host: str, port: int, *, all_ports: bool = False) -> bool:
        """Whether a pattern covers `host`. Port 0: some port of it, or with `all_ports` each."""
        found = [self._exact.get(host), self._itself.get(host)]
        found += [self._below.get(parent) for parent in _parents(host)]
        return any(_covers(ports, port, all_ports=all_ports) for ports in found)

    def names(self, host: str, port: int) -> bool:
        """Whether a pattern without a wildcard covers `host`."""
        return _covers(self._exact.get(host), port, all_ports=False)


def _add_port(table: dict[str, set[int]], host: str, port: int | None) -> None:
    if port is None:
        table[host] = set()
    elif ports := table.setdefault(host, {port}):  # an empty set stays: it means all
        ports.add(port)


def _covers(ports: set[int] | None, port: int, *, all_ports: bool) -> bool:
    if ports is None:
        return False
    return not ports or port in ports or (port == 0 and not all_ports)


def _parents(host: str) -> Iterator[str]:
    """Yield the names above `host`, nearest first, and "" for all; an address has only that."""
    if as_address(host) is None:
        labels = host.split(".")
        for first in range(1, len(labels)):
            yield ".".join(labels[first:])
    yield ""


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")
