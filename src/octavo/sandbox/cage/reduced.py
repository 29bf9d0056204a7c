"""Cages without namespaces: the reduced tier, and none at all.

The reduced tier needs nothing but Landlock and seccomp, so it works in containers that allow no
namespaces. It stops writes outside the roots, reading secrets, and all sockets; what it cannot
stop is named in its gaps. Each init has a guard, which lets nothing of a command live longer.
"""

from __future__ import annotations

import _socket
import os

from . import abi, bpf, command, guard, init, landlock, mounts, selftest, watching, zygote
from .orders import Orders
from .plan import Plan

_ALWAYS = (
    "Protected names such as .git are not read-only: a change to their settings is undone when "
    "the command has ended, but not in a nested repository that was moved.",
    "Mode, owner and times of your own files outside the writable directories can be changed.",
    "Other processes of this machine, and the names of hidden files, can be seen.",
    "Local servers, unix sockets and shared memory do not work in commands.",
)
_WITHOUT_LIMIT = "How many processes a command may start is not limited."
_WITHOUT_PRIVATE = (
    "There are no private temporary directories here, so nothing can be written in any."
)
_WITHOUT_SCOPE = "Your other processes can be signalled, because this kernel's Landlock is old."


class LandlockCage:
    """Makes inits confined by Landlock and seccomp."""

    def __init__(self, orders: Orders, plan: Plan) -> None:
        version = abi.landlock_abi()
        if version < landlock.LEAST_ABI:
            found = f"version {version}" if version else "none"
            raise OSError(95, f"Landlock version {landlock.LEAST_ABI} is needed, found {found}")
        self._orders = orders
        self._plan = plan
        self._readable = landlock.all_but([*plan.secrets, "/dev"])
        self._filter = bpf.program(inet=orders.network, unix=False, apart=False)
        self._scoped = version >= landlock.SCOPE_ABI
        self.gaps = [*_ALWAYS, *(() if self._scoped else (_WITHOUT_SCOPE,))]
        self.gaps.append(_WITHOUT_LIMIT)
        if any(path in plan.private for path in plan.changeable):
            self.gaps.append(_WITHOUT_PRIVATE)

    def prove(self, probe: selftest.Probe) -> None:
        """Let one init try to escape. Raises OSError saying what it could do."""
        probe.hides_processes, probe.stops_signals = False, self._scoped
        probe.protected, probe.masks = [], self._plan.secrets
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            selftest.run_and_exit(tell, lambda: self._confine(None), probe)
        os.close(tell)
        os.waitpid(pid, 0)
        selftest.believe(told)

    def run(self, sock: _socket.socket) -> None:
        """Make inits until the supervisor is gone, and end them all."""

        roots, names = self._plan.roots, self._orders.protected
        others = [path for path in self._plan.protected if os.path.dirname(path) not in roots]
        watched = watching.Watching(roots, names, others)
        held = [*self._plan.protected, *(f"{root}/{name}" for root in roots for name in names)]
        _run(sock, self._plan.roots, held, self._confine, watched)

    def _confine(self, terminal: command.Terminal | None) -> None:
        """Confine this process; of the terminals only its own stays within reach."""
        devices = [f"/dev/{name}" for name in mounts.DEVICES]
        if terminal is not None:
            devices.append(terminal.slave)
        rules = landlock.ruleset(
            self._plan.roots,
            devices,
            readable=self._readable,
            executable=self._plan.programs,
            tcp=self._orders.network,
        )
        abi.no_new_privileges()
        if os.geteuid() == 0:
            abi.lock_capabilities()
            abi.drop_capabilities()
        abi.landlock_restrict(rules)
        os.close(rules)
        abi.become_undumpable()
        abi.forbid_core_files()
        abi.load_filter(self._filter)


class OpenCage:
    """Makes inits that are not confined; they and their guards only end what they started."""

    def run(self, sock: _socket.socket) -> None:
        _run(sock, ["/"], [], lambda _: None, None)


def _run(
    sock: _socket.socket,
    roots: list[str],
    held: list[str],
    confine: Callable[[command.Terminal | None], None],
    watched: watching.Watching | None,
) -> None:
    def make() -> int:
        theirs, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        asks = None if watched is None else watched.hear()
        pid = os.fork()
        if pid == 0:
            try:
                sock.close()
                theirs.close()
                if watched is not None:
                    watched.forget()
                _be_guard(its, roots, held, confine, asks)
            finally:
                os._exit(0)
        its.close()
        if asks is not None:
            asks.close()
        zygote.hand_over(sock, theirs, pid)
        return pid

    wait = None if watched is None else lambda: watched.serve_until(sock)
    alive = zygote.serve_supervisor(sock, make, wait)
    if watched is not None:
        watched.forget()
    for pid in alive:
        guard.send(pid, command.SIGTERM)
    for pid in alive:
        os.waitpid(pid, 0)
    if watched is not None:
        watched.put_back()


def _be_guard(
    its: _socket.socket,
    roots: list[str],
    held: list[str],
    confine: Callable[[command.Terminal | None], None],
    asks: _socket.socket | None,
) -> None:
    """Make an init, and guard it until nothing of it is left."""
    abi.become_subreaper()
    terminal = _terminal()
    ours, talk = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            if asks is not None:
                asks.close()
            abi.die_with_parent(command.SIGKILL)
            abi.be_killed_first()
            confine(terminal)
            init.serve(its, roots, guard.GuardedTier(talk, terminal, held))
        finally:
            os._exit(0)
    talk.close()
    if terminal is not None:
        os.close(terminal.master)

    def before() -> None:
        if asks is not None:
            watching.ask(asks, watching.BEGINS)

    def after() -> None:
        if asks is not None:
            watching.ask(asks, watching.ENDED)

    guard.watch(pid, ours, its, before, after)


def _terminal() -> command.Terminal | None:
    try:
        return command.Terminal()
    except OSError:
        return None


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
