"""A keeper that has its orders: a cage on its way, before anybody can use it.

Nothing here needs an event loop, so a cage can be built while the one that will use it is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence

from octavo.sandbox import Policy
from octavo.sandbox.cage import words
from octavo.sandbox.keeper import Forked, Keeper, start_keeper
from octavo.sandbox.outside import Outside
from octavo.sandbox.policy import TIERS, UNCONFINED, orders_for


class Ordered:
    """A keeper, what it was told, and what the host was like just before that."""

    def __init__(
        self,
        policy: Policy,
        tiers: Sequence[str] = TIERS,
        keeper: Keeper | Forked | None = None,
    ) -> None:
        orders = orders_for(policy, tiers)
        self.policy = policy
        self.outside = None if tiers == UNCONFINED else Outside(orders, policy.deny_globs)
        """What the host may change under the cage's walls; None where nothing can be done."""
        self.pidfd: int | None = None
        """Of a keeper that is not ours to reap."""
        if isinstance(keeper, Forked):
            (self.zygote, self.pidfd), self.keeper = keeper, 0
        else:
            self.zygote, self.keeper = keeper or start_keeper()
        words.ask(self.zygote, words.ORDERS, orders.values())
