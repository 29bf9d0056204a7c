"""Hosts: which were kept from commands, and which a person accepts.

The cages tell `Blocks` of what they kept from the network. What came while a command ran is told to
the model with its output; a person who may be asked is asked about hosts that are merely not
listed. A yes holds from the next command on: it runs in a cage that lets these hosts through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from octavo.protocol.questions import Offer
from octavo.sandbox import Network, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.policy.rules import NetworkRule
    from octavo.sandbox.net import Blocked

KEPT = 1_000
"""How many blocked connections are known at a time."""
ASKED_AT_ONCE = 3
"""A command that looks for more hosts than this is told about the rest."""

HOST_OFFERS = (
    Offer("thread", "thread", "host"),
    Offer("project", "project", "host"),
    Offer("always", "always", "host"),
)


class Blocks:
    """What the cages of a thread kept from the network, in order, and what a person said to it.

    Attributes:
        once: hosts accepted for the next command only.
        declined: hosts nobody is asked about again in this thread.
    """

    def __init__(self) -> None:
        self.once: list[str] = []
        self.declined: set[str] = set()
        self._seen: list[Blocked] = []
        self._forgotten = 0

    def __call__(self, blocked: Blocked) -> None:
        self._seen.append(blocked)
        if len(self._seen) > 2 * KEPT:
            del self._seen[:KEPT]
            self._forgotten += KEPT

    @property
    def count(self) -> int:
        """How many there were so far."""
        return self._forgotten + len(self._seen)

    def since(self, count: int) -> list[Blocked]:
        """Return what came after the first `count`: each host once, rather with its port."""
        found: dict[str, Blocked] = {}
        for blocked in self._seen[max(0, count - self._forgotten) :]:
            known = found.get(blocked.host)
            if known is None or (not known.port and blocked.port):
                found[blocked.host] = blocked
        return list(found.values())

    def take_once(self) -> tuple[str, ...]:
        """Return the hosts accepted for one command, and forget them."""
        hosts, self.once = tuple(self.once), []
        return hosts


def reaching(policy: Policy, hosts: Iterable[str]) -> Policy:
    """Return `policy` with these hosts let through, besides those it has."""
    more = [host for host in dict.fromkeys(hosts) if host not in policy.network.allow]
    if not more or policy.network.access == "open":
        return policy
    network = replace(policy.network, access="hosts", allow=(*policy.network.allow, *more))
    return replace(policy, network=network)


def ruled(policy: Policy, rules: Sequence[NetworkRule]) -> Policy:
    """Return `policy` as the person's rules for hosts have it; what they deny beats all else."""
    allow = [_pattern(rule) for rule in rules if rule.decision == "allow"]
    deny = [rule.host for rule in rules if rule.decision == "deny"]
    policy = reaching(policy, allow)
    if not deny:
        return policy  # with the network off they count, too: git may be let to a remote
    network = policy.network
    if network.access == "open":  # only a list can leave something out
        network = replace(network, access="hosts", allow=("*",))
    network = replace(network, deny=tuple(dict.fromkeys([*network.deny, *deny])))
    return replace(policy, network=network)


def _pattern(rule: NetworkRule) -> str:
    port = {"http": ":80", "https": ":443"}.get(rule.protocol, "")
    host = f"[{rule.host}]" if ":" in rule.host else rule.host
    return f"{host}{port}"


def checked_hosts(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of hosts as they are.

    Raises:
        ConfigError: one of them makes no sense.
    """
    from octavo.sandbox.net.rules import HostRules  # only where hosts are named

    HostRules(patterns)
    return tuple(patterns)


def listing(patterns: Sequence[str]) -> Network:
    """Return a network of these hosts alone."""
    return Network("hosts", allow=checked_hosts(patterns))
