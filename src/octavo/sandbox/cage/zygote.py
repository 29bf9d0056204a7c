"""The process that makes single-use inits ahead of need.

In the full tier it is the first process of the cage: it holds the cage's namespaces and, in the
user namespace only, the capabilities to make more. It runs no command and reads nothing a command
wrote. When the supervisor is gone, for whatever reason, its socket ends, this process exits, and
the kernel ends everything in the cage.
"""

from __future__ import annotations

import _socket
import gc
import os

from . import abi, asking, bpf, init, landlock, mounts, selftest, words
from .plan import Plan

_REAP_EVERY_S = 1.0
_WITHOUT_BROKER = (
    "Unix sockets of this machine that were bound by a relative path, or are new, can be reached "
    "by commands: {}."
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def build(plan: Plan, *, network: bool) -> init.Walls:
    """Raise the walls around this process, the first of its pid namespace.

    Where the kernel cannot ask a broker, the plan gets a gap more.

    Args:
        plan: what they are.
        network: it is in the host's network.
    """
    broker = asking.Asking(plan.sockets, apart=not network)
    os.chdir("/")
    mounts.build(plan)
    if not network:
        mounts.ask_loopback_for_names()
    os.chdir("/")
    broker.walls_stand()
    abi.become_undumpable()
    abi.lock_capabilities()
    ruleset = None
    if abi.landlock_abi():
        devices = [f"/dev/{name}" for name in mounts.DEVICES] + ["/dev/ptmx"]
        writable = [*plan.roots, *plan.private, "/dev/shm", "/dev/pts"]
        ruleset = landlock.ruleset(writable, devices, executable=plan.programs)
    elif plan.programs is not None:
        raise OSError(95, "Landlock is needed to say which programs can be executed")
    filter_program = bpf.program(inet=True, unix=True, brokered=True)
    try:
        broker.begin()
    except OSError as error:
        plan.gaps.append(_WITHOUT_BROKER.format(error.strerror))
        filter_program = bpf.program(inet=True, unix=True)
        brokered = False
    else:
        brokered = True
    return init.Walls(
        filter_program=filter_program,
        ruleset=ruleset,
        processes=plan.processes if mounts.counts_processes_apart() else None,
        brokered=brokered,
    )


def prove(walls: init.Walls, probe: selftest.Probe) -> None:
    """Let one init try to escape. Raises OSError saying what it could do."""
    if not walls.brokered:
        probe.forget_relative()
    told, tell = os.pipe()
    space = _own_pid_namespace()
    abi.unshare(abi.CLONE_NEWPID, "pid namespace of a command")
    if os.fork() == 0:
        selftest.run_and_exit(tell, lambda: init.confine(walls), probe)
    os.close(tell)
    abi.setns(space, abi.CLONE_NEWPID)
    os.close(space)
    selftest.believe(told)


def run(sock: _socket.socket, walls: init.Walls, roots: list[str]) -> None:
    """Make confined inits until the supervisor is gone."""
    space = _own_pid_namespace()

    def make() -> int:
        theirs, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        abi.unshare(abi.CLONE_NEWPID, "pid namespace of a command")
        pid = os.fork()
        if pid == 0:
            try:
                sock.close()
                theirs.close()
                os.close(space)
                init.confine(walls)
                init.serve(its, roots, init.FullTier(its))
            finally:
                os._exit(0)
        its.close()
        abi.setns(space, abi.CLONE_NEWPID)
        hand_over(sock, theirs, pid)
        return pid

    serve_supervisor(sock, make)


def serve_supervisor(
    sock: _socket.socket,
    make: Callable[[], int],
    wait: Callable[[], None] | None = None,
    *,
    hide: Callable[[str], None] = mounts.mask,
    hold: Callable[[str], None] = mounts.hold,
) -> set[int]:
    """Make an init whenever asked; return those that live when the supervisor is gone.

    Args:
        sock: the supervisor.
        make: makes one.
        wait: returns when the supervisor has said something; what else it does is its own.
        hide: masks a path for the inits to come.
        hold: makes a path read-only for them.
    """
    alive: set[int] = set()
    sock.settimeout(_REAP_EVERY_S)
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        if wait is not None:
            wait()
        try:
            message, fds = words.receive(sock)
        except TimeoutError:
            _reap(alive)
            continue
        _reap(alive)
        if not message:
            return alive
        if message[:1] == words.HIDE:
            for path in words.asked(message, fds):
                hide(path)
            continue
        if message[:1] == words.HOLD:
            for path in words.asked(message, fds):
                hold(path)
            continue
        for _ in message:
            alive.add(make())


def hand_over(sock: _socket.socket, theirs: _socket.socket, pid: int) -> None:
    """Give an init to the supervisor: its socket and its pidfd."""
    pidfd = os.pidfd_open(pid)
    words.send(sock, words.INIT, (theirs.fileno(), pidfd))
    os.close(pidfd)
    theirs.close()


def _own_pid_namespace() -> int:
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def _reap(alive: set[int]) -> None:
    try:
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            alive.discard(pid)
    except ChildProcessError:
        return
