"""One way to write a host, so that comparing strings compares hosts.

A canonical host is a name in lower-case ASCII without the dot at its end, or an address as the
kernel writes it. What another program could read differently is refused, never guessed: numbers
in odd notations, zone ids, empty labels, control characters.
"""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address

MAX_NAME = 253
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")

Address = IPv4Address | IPv6Address


class NotAHost(ValueError):
    """This is no host; `str` says why, as the end of a sentence."""


def canonical_host(text: str) -> str:
    """Return the host as octavo writes it.

    Raises:
        NotAHost: it is none, or could be read in two ways.
    """
    if not text:
        raise NotAHost("it is empty")
    if any(ch <= " " or ch == "\x7f" for ch in text):
        raise NotAHost("it contains a space or a control character")
    if not text.isascii():
        text = _to_ascii(text)
    text = text.lower()
    if text.startswith("[") and text.endswith("]"):
        return _canonical_ipv6(text[1:-1])
    if ":" in text:
        return _canonical_ipv6(text)
    return _canonical_name(text.removesuffix("."))


def _canonical_name(name: str) -> str:
    labels = name.split(".")
    if "" in labels:
        raise NotAHost("it has an empty label")
    if len(name) > MAX_NAME:
        raise NotAHost(f"it is longer than {MAX_NAME} characters")
    if _NUMBER.fullmatch(labels[-1]):
        return _canonical_ipv4(name)
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise NotAHost(f'"{shown(label)}" is no label of a host name')
    return name


def _canonical_ipv4(text: str) -> str:
    try:
        return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
    except OSError:
        raise NotAHost(
            "it ends in a number but is not an address of four decimal numbers"
        ) from None


def _canonical_ipv6(text: str) -> str:
    if "%" in text:
        raise NotAHost("an address with a zone id is not supported")
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        raise NotAHost("it is not an IPv6 address") from None
    mapped = IPv6Address(packed).ipv4_mapped
    return str(mapped) if mapped is not None else socket.inet_ntop(socket.AF_INET6, packed)


def _to_ascii(text: str) -> str:
    import idna

    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError:
        raise NotAHost("it is not an internationalised name") from None


def as_address(host: str) -> Address | None:
    """Return the address a canonical host is; None for a name."""
    if ":" in host:
        return IPv6Address(host)
    return IPv4Address(host) if host[-1].isdigit() and _NUMBER.fullmatch(_last(host)) else None


def _last(host: str) -> str:
    return host.rpartition(".")[2]


def split_port(text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port`, `[address]:port`; a bare IPv6 address has no port.

    Raises:
        NotAHost: there is a port, but it is none.
    """
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        host += bracket
        if rest and not rest.startswith(":"):
            raise NotAHost("something follows the bracket")
        colon, port = rest[:1], rest[1:]
    elif text.count(":") > 1:
        return text, None
    else:
        host, colon, port = text.partition(":")
    if not colon:
        return host, None
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        raise NotAHost(f'"{shown(port)}" is not a port')
    return host, int(port)


def shown(text: str | bytes, limit: int = 80) -> str:
    """Return hostile text such that it can be printed: one line, odd characters escaped."""
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    cut = text[:limit]
    safe = "".join(ch if " " <= ch <= "~" and ch not in '"\\' else ascii(ch)[1:-1] for ch in cut)
    return safe + ("…" if len(text) > limit else "")
