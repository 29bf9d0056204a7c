"""Run a program as on a host that allows less: `python restricted_host.py KIND PROGRAM ARG…`.

    container      a container's default profile: no namespaces, no mounts
    apparmor       user namespaces may be made, but give no right to mount
    only-bwrap     AppArmor gives user namespaces to bubblewrap alone
    no-namespaces  the limit of user namespaces is 0
    bare           like container, and without Landlock
    no-questions   the kernel cannot ask about system calls
    old-questions  as before Linux 5.19, who waits for an answer is disturbed by every signal

The imitation is a seccomp filter made with the product's own assembler, loaded before the program.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from octavo.sandbox.cage import abi, bpf

_MOUNTS = "mount umount2 pivot_root move_mount open_tree fsopen fsmount fsconfig fspick"
_CONTAINER_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
_NEW_USER = 0x10000000
_NEW_ANY = 0x7E020000


def _program(kind: str) -> bytes:
    refuse = [(bpf._RETURN, bpf._ERRNO | errno.EPERM, 0, 0)]
    rules: dict[str, list[tuple[int, int, int, int]]] = {}
    if kind in ("container", "bare", "apparmor"):
        rules |= dict.fromkeys([*_MOUNTS.split(), "mount_setattr"], refuse)
    if kind in ("container", "bare"):
        rules |= {"unshare": refuse, "setns": refuse, "clone": bpf._refuse_bits(0, _NEW_ANY)}
    if kind == "bare":
        absent = [(bpf._RETURN, bpf._ERRNO | errno.ENOSYS, 0, 0)]
        rules["landlock_create_ruleset"] = absent
    if kind in ("no-questions", "old-questions"):
        flag = 8 if kind == "no-questions" else 32
        unknown = (bpf._RETURN, bpf._ERRNO | errno.EINVAL, 0, 0)
        rules["seccomp"] = [bpf._argument(1), (bpf._ANY_BIT, flag, 0, 1), unknown, bpf._ALLOWED]
    if kind == "only-bwrap":
        # A filter does not see programs; bubblewrap is the one that makes namespaces by clone.
        rules["unshare"] = bpf._refuse_bits(0, _NEW_ANY & ~_NEW_USER)
    if kind == "no-namespaces":
        full = (bpf._RETURN, bpf._ERRNO | errno.ENOSPC, 0, 0)
        rules["unshare"] = [bpf._argument(0), (bpf._ANY_BIT, _NEW_USER, 0, 1), full, bpf._ALLOWED]
    return bpf.assemble(rules)


def main() -> None:
    kind, *argv = sys.argv[1:]
    if os.geteuid() == 0 and kind in ("container", "bare"):
        drop = ctypes.CDLL(None).prctl
        for capability in set(range(64)) - _CONTAINER_CAPABILITIES:
            drop(24, ctypes.c_ulong(capability), 0, 0, 0)
    else:
        abi.no_new_privileges()
    abi.load_filter(_program(kind))
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
