"""What the supervisor asks a cage to be: plain values that travel to it once, at the start."""

from __future__ import annotations


class Orders:
    """One cage's policy, every path absolute and every default already decided."""

    __slots__ = (
        *("cwd", "forwards", "home", "hosts", "kept", "network", "private", "processes"),
        *("programs", "protected", "read_only", "roots", "secrets", "sockets", "tiers"),
    )

    def __init__(
        self,
        *,
        cwd: str,
        roots: list[str],
        private: list[str],
        kept: list[str],
        processes: int,
        network: bool,
        hosts: bool,
        forwards: list[int],
        sockets: list[str],
        secrets: list[str],
        protected: list[str],
        home: str,
        tiers: list[str],
        read_only: list[str],
        programs: list[str] | None,
    ) -> None:
        self.cwd = cwd
        self.roots = roots
        """Writable trees; empty in read-only mode. Missing ones and `/` are ignored."""
        self.private = private
        """Directories that are empty ones of the cage's own; where they are not, nobody writes."""
        self.kept = kept
        """What stays to be seen, read-only, also inside a private directory."""
        self.processes = processes
        """Most processes at a time in one command's tree."""
        self.network = network
        """Commands have the host's network."""
        self.hosts = hosts
        """Commands reach some hosts, through listeners in the cage that octavo answers."""
        self.forwards = forwards
        """Ports of local servers that are reached under the same port in the cage."""
        self.sockets = sockets
        """Unix sockets of the host that commands may connect to."""
        self.secrets = secrets
        """Files and directories nobody in the cage may read."""
        self.protected = protected
        """Names that stay read-only at the top of each root, and are held even when missing."""
        self.home = home
        """Octavo's own directory, which no command may write."""
        self.tiers = tiers
        """Mechanisms to try, in order: "namespaces", "landlock"."""
        self.read_only = read_only
        """What nobody may write, although it is in a root."""
        self.programs = programs
        """The only files, and trees of files, that can be executed; None is no such limit."""

    def values(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}
