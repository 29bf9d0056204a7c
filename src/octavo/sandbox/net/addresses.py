"""Which addresses are not the internet.

A name is only a name: whoever owns it decides what it resolves to. So every address is judged
before it is dialled, by what it leads to and not by who asked. IPv6 is judged the other way round:
what is not known to be public is not.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Literal

from octavo.sandbox.net.hosts import Address

Kind = Literal["public", "loopback", "private", "own", "link-local", "metadata", "reserved"]

_IPV4: tuple[tuple[str, Kind], ...] = (
    ("127.0.0.0/8", "loopback"),
    ("10.0.0.0/8", "private"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.100.100.200/32", "metadata"),
    ("100.64.0.0/10", "private"),
    ("169.254.0.0/16", "link-local"),
    ("168.63.129.16/32", "metadata"),
    ("192.0.0.192/32", "metadata"),
    ("198.18.0.0/15", "private"),
    ("0.0.0.0/8", "reserved"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("198.51.100.0/24", "reserved"),
    ("203.0.113.0/24", "reserved"),
    ("224.0.0.0/3", "reserved"),
)
_IPV6: tuple[tuple[str, Kind], ...] = (
    ("::1/128", "loopback"),
    ("fd00:ec2::254/128", "metadata"),
    ("fd20:ce::254/128", "metadata"),
    ("fc00::/7", "private"),
    ("fec0::/10", "private"),
    ("fe80::/10", "link-local"),
    ("2001::/23", "reserved"),  # Teredo and other protocol assignments
    ("2001:db8::/32", "reserved"),
    ("2002::/16", "reserved"),  # 6to4: an IPv4 address in disguise
    ("3fff::/20", "reserved"),
    ("2000::/3", "public"),
)
_V4 = tuple((IPv4Network(network), kind) for network, kind in _IPV4)
_V6 = tuple((IPv6Network(network), kind) for network, kind in _IPV6)
_NAT64 = IPv6Network("64:ff9b::/96")

NAMEABLE: frozenset[Kind] = frozenset({"loopback", "private", "own"})
"""What a name may lead to when it is listed as local."""
LISTABLE: frozenset[Kind] = NAMEABLE | {"link-local", "metadata"}
"""What an address may be when it is itself listed."""


def kind_of(address: Address) -> Kind:
    """Return what `address` leads to, seen from this machine."""
    kind = _kind_by_table(address)
    return "own" if kind == "public" and _is_own(address) else kind


def _kind_by_table(address: Address) -> Kind:
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _V4 if address in network), "public")
    if address.ipv4_mapped is not None:
        return _kind_by_table(address.ipv4_mapped)
    if address in _NAT64:
        embedded = IPv4Address(int(address) & 0xFFFF_FFFF)
        return "public" if kind_of(embedded) == "public" else "reserved"
    return next((kind for network, kind in _V6 if address in network), "reserved")


def _is_own(address: Address) -> bool:
    """Whether this machine has the address: packets to it would come from it. None is sent."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            source: str = probe.getsockname()[0]
    except OSError:
        return False
    return ip_address(source.partition("%")[0]) == address
