"""What the permits of one thread stand on: its rules and what it remembers.

Light, as every thread has one; what judges a command is imported when the first one is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.agent.allowed import Allowed
from octavo.agent.network import Blocks
from octavo.config.load import Loaded
from octavo.config.settings import ApprovalPolicy, GranularPolicy
from octavo.protocol.fold import Thread

if TYPE_CHECKING:
    from octavo.agent.remembered import Remembered
    from octavo.agent.rulebook import Rulebook


OUTPUTS = "outputs"


def may_widen(approval: ApprovalPolicy, *, present: bool) -> bool:
    """Return whether a person can be asked to let a command have more than the policy gives."""
    if not present or approval == "never":
        return False
    return not isinstance(approval, GranularPolicy) or approval.granular.sandbox_approval


def may_elicit(approval: ApprovalPolicy, *, present: bool) -> bool:
    """Return whether a person can be asked about an MCP server's tools, or by one."""
    if not present or approval == "never":
        return False
    return not isinstance(approval, GranularPolicy) or approval.granular.mcp_elicitations


class Ground:
    """Made once a thread.

    Attributes:
        blocks: what its cages kept from the network.
        allowed: what the person allowed on the command line.
        env: octavo's own environment.
    """

    def __init__(
        self,
        loaded: Loaded,
        env: Mapping[str, str],
        thread: Thread,
        notice: Callable[[str], None],
        allowed: Allowed,
    ) -> None:
        self.blocks = Blocks()
        self.allowed = allowed
        self.home = loaded.home
        self.own = loaded.repo_root
        """The repository that the thread works in."""
        self._loaded = loaded
        self.env = env
        self._thread = thread
        self._notice = notice
        self._remembered: Remembered | None = None
        self._rulebook: Rulebook | None = None

    @property
    def outputs(self) -> Path | None:
        """Where the full outputs of the thread's commands are; see `store.kept`."""
        started = self._thread.started
        return None if started is None else self.home / OUTPUTS / started.thread_id

    @property
    def remembered(self) -> Remembered:
        """What a person accepted before."""
        if self._remembered is None:
            from octavo.agent.remembered import Remembered

            self._remembered = Remembered(self.home, self._thread, self._notice)
        return self._remembered

    @property
    def rulebook(self) -> Rulebook:
        """The rules for commands."""
        if self._rulebook is None:
            from octavo.agent.rulebook import Rulebook

            self._rulebook = Rulebook(self._loaded, self.env, self._notice)
        return self._rulebook
