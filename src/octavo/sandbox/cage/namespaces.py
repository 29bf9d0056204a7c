"""Into new namespaces: user, mount, network, pid, ipc and host name, one step at a time.

Each step that is refused raises OSError with the step's name, because which one it was tells the
person what to change: a container profile refuses the first, AppArmor the second.
"""

from __future__ import annotations

import _socket
import fcntl
import os

from . import abi

_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x41
ENTERED = b"u"


def enter(*, user: bool, network: bool, told: int, answered: int) -> None:
    """Leave the host's namespaces; the next child is the first process of the new pid namespace.

    Args:
        user: make a user namespace, whose capabilities are what the rest needs. Without it the
            process must have them already.
        network: stay in the host's network.
        told: pipe on which the parent hears that it may write the identity maps.
        answered: pipe that the parent closes when it has.
    """
    if user:
        abi.unshare(abi.CLONE_NEWUSER, "user namespace")
        os.write(told, ENTERED)
        if os.read(answered, 1) != ENTERED:
            raise OSError(1, "the identity map of the user namespace could not be written")
    abi.unshare(abi.CLONE_NEWNS, "mount namespace")
    abi.unshare(abi.CLONE_NEWIPC | abi.CLONE_NEWUTS, "ipc and uts namespaces")
    abi.unshare(abi.CLONE_NEWPID, "pid namespace")
    if not network:
        abi.unshare(abi.CLONE_NEWNET, "network namespace")
        _bring_loopback_up()


def map_identity(pid: int) -> bool:
    """Let everyone be who they are in the user namespace of `pid`; True when it is done.

    Root maps all it has, so that owners of files stay readable; a user can map only themselves.
    """
    everyone = "".join(
        f"{inside} {inside} {count}\n"
        for inside, _, count in (line.split() for line in _read("/proc/self/uid_map"))
    )
    groups = "".join(
        f"{inside} {inside} {count}\n"
        for inside, _, count in (line.split() for line in _read("/proc/self/gid_map"))
    )
    if os.geteuid() == 0 and _write(pid, "uid_map", everyone):
        return _write(pid, "gid_map", groups)
    _write(pid, "setgroups", "deny")
    uid, gid = os.geteuid(), os.getegid()
    return _write(pid, "uid_map", f"{uid} {uid} 1\n") and _write(pid, "gid_map", f"{gid} {gid} 1\n")


def _read(path: str) -> list[str]:
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def _write(pid: int, name: str, text: str) -> bool:
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _bring_loopback_up() -> None:
    request = b"lo".ljust(16, b"\0") + _UP_AND_RUNNING.to_bytes(2, "little") + bytes(14)
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        fcntl.ioctl(sock.fileno(), _SIOCSIFFLAGS, request)
    finally:
        sock.close()
