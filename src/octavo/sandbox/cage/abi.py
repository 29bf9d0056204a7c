"""System calls that Python does not offer, with their numbers on x86-64 and aarch64.

A call that fails raises OSError with the kernel's errno and the name of the call, so that a
refusal can be told to the person exactly.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEW = {  # one table for all machines since 5.0
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "openat2": 437,
    "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446,
    "fchmodat2": 452, "open_tree_attr": 467,
}  # fmt: skip
_X86_64 = {
    "open": 2, "ioctl": 16, "shmget": 29, "shmat": 30, "shmctl": 31, "socket": 41, "connect": 42,
    "socketpair": 53, "clone": 56, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68,
    "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "semtimedop": 220, "mq_open": 240,
    "mq_unlink": 241, "prlimit64": 302, "creat": 85,
    "chmod": 90, "fchmod": 91, "syslog": 103, "capset": 126, "mknod": 133, "uselib": 134,
    "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155,
    "adjtimex": 159, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
    "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170,
    "setdomainname": 171, "iopl": 172, "ioperm": 173, "create_module": 174, "init_module": 175,
    "delete_module": 176, "query_module": 178, "quotactl": 179, "nfsservctl": 180,
    "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "migrate_pages": 256, "openat": 257, "mknodat": 259,
    "fchmodat": 268, "unshare": 272, "move_pages": 279, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "clock_adjtime": 305, "setns": 308, "kcmp": 312, "finit_module": 313, "renameat2": 316,
    "seccomp": 317, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
}  # fmt: skip
_AARCH64 = {
    "lookup_dcookie": 18, "ioctl": 29, "mknodat": 33, "umount2": 39, "mount": 40,
    "pivot_root": 41, "nfsservctl": 42, "chroot": 51, "fchmod": 52, "fchmodat": 53,
    "openat": 56, "vhangup": 58, "quotactl": 60, "acct": 89, "capset": 91, "unshare": 97,
    "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112,
    "syslog": 116, "reboot": 142, "sethostname": 161, "setdomainname": 162,
    "settimeofday": 170, "adjtimex": 171, "mq_open": 180, "mq_unlink": 181, "msgget": 186,
    "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "semget": 190, "semctl": 191,
    "semtimedop": 192, "semop": 193, "shmget": 194, "shmctl": 195, "shmat": 196,
    "prlimit64": 261, "socket": 198, "socketpair": 199, "connect": 203, "add_key": 217,
    "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225,
    "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268,
    "kcmp": 272, "finit_module": 273, "renameat2": 276, "seccomp": 277, "bpf": 280,
    "userfaultfd": 282, "kexec_file_load": 294,
}  # fmt: skip

TABLES = {"x86_64": (0xC000003E, _X86_64 | _NEW), "aarch64": (0xC00000B7, _AARCH64 | _NEW)}
"""Machine to (audit architecture, system call numbers)."""
MACHINE = os.uname().machine

CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = 0x8000000, 0x10000000, 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_PRIVATE = 1, 2, 4, 8, 1 << 18
AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x1000, 0x8000
MOUNT_RDONLY, MOUNT_NOSUID, MOUNT_NODEV = 1, 2, 4
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 2, 16
CAP_SYS_PTRACE = 19
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS = 1, 4, 24, 28
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_AMBIENT_CLEAR = 36, 38, 47, 4
_NOROOT_AND_LOCKS = 0x2F

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


_CHANGES = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
"""Modified, attributes, written and closed, moved from, moved to, made, deleted; and the directory
itself deleted or moved."""


def number(name: str) -> int:
    """Return the number of a system call on this machine; OSError if it is not known."""
    try:
        return TABLES[MACHINE][1][name]
    except KeyError:
        raise OSError(38, f"{name}: no system call table for {MACHINE}") from None


def _checked(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def _call(name: str, *args: object) -> int:
    return _checked(_syscall(number(name), *args), name)


def unshare(flags: int, what: str) -> None:
    _checked(_libc.unshare(ctypes.c_int(flags)), f"unshare({what})")


def setns(fd: int, kind: int) -> None:
    _checked(_libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def mount(kind: str, target: str, flags: int, data: str = "") -> None:
    """Mount a new file system of `kind` on `target`."""
    result = _libc.mount(
        kind.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()
    )
    _checked(result, f"mount({kind} on {target})")


def clone_tree(path: str, *, at: int = AT_FDCWD, recursive: bool = True) -> int:
    """Return a descriptor of a detached copy of the mounts at `path`; links are not followed."""
    flags = 1 | os.O_CLOEXEC | 0x100 | (AT_RECURSIVE if recursive else 0)
    if not path:
        flags |= AT_EMPTY_PATH
    return _call("open_tree", ctypes.c_int(at), os.fsencode(path), ctypes.c_uint(flags))


def attach(tree: int, path: str) -> None:
    """Put a detached copy at `path` and close its descriptor; a link in the last place counts."""
    empty_source = 0x4
    try:
        _call("move_mount", ctypes.c_int(tree), b"", ctypes.c_int(AT_FDCWD), os.fsencode(path),
              ctypes.c_uint(empty_source))  # fmt: skip
    finally:
        os.close(tree)


def mount_setattr(path: str, add: int, *, at: int = AT_FDCWD, recursive: bool = True) -> None:
    """Add attributes to the mounts at `path` and make them private."""
    flags = (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    attributes = add.to_bytes(8, "little") + bytes(8) + MS_PRIVATE.to_bytes(8, "little") + bytes(8)
    _call("mount_setattr", ctypes.c_int(at), os.fsencode(path), ctypes.c_uint(flags),
          attributes, ctypes.c_size_t(32))  # fmt: skip


def renameat2(directory: int, old: str, new: str, flags: int) -> None:
    """Rename inside one directory."""
    _call("renameat2", ctypes.c_int(directory), os.fsencode(old), ctypes.c_int(directory),
          os.fsencode(new), ctypes.c_uint(flags))  # fmt: skip


def inotify(directory: str) -> int:
    """Return a descriptor that tells what happens to the entries of `directory`.

    It is read as `inotify(7)` says, and never waits.
    """
    fd: int = _checked(_libc.inotify_init1(ctypes.c_int(os.O_CLOEXEC | os.O_NONBLOCK)), "inotify")
    try:
        path = os.fsencode(directory)
        _checked(
            _libc.inotify_add_watch(ctypes.c_int(fd), path, ctypes.c_uint32(_CHANGES)), "watch"
        )
    except BaseException:
        os.close(fd)
        raise
    return fd


def _prctl(*args: int) -> int:
    return int(_libc.prctl(*(ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0)[:5])))


def die_with_parent(sig: int) -> None:
    _checked(_prctl(_PR_SET_PDEATHSIG, sig), "prctl(PDEATHSIG)")


def become_undumpable() -> None:
    """Nobody of the same user may trace this process or read its memory."""
    _checked(_prctl(_PR_SET_DUMPABLE, 0), "prctl(DUMPABLE)")


def become_dumpable() -> None:
    """Be again what a command is, which has been executed."""
    _checked(_prctl(_PR_SET_DUMPABLE, 1), "prctl(DUMPABLE)")


def become_subreaper() -> None:
    _checked(_prctl(_PR_SET_CHILD_SUBREAPER, 1), "prctl(CHILD_SUBREAPER)")


def no_new_privileges() -> None:
    _checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "prctl(NO_NEW_PRIVS)")


def lock_capabilities() -> None:
    """Empty the bounding and ambient sets: what is dropped later never comes back."""
    for capability in range(64):
        if _prctl(_PR_CAPBSET_DROP, capability) < 0:
            break
    _prctl(_PR_SET_SECUREBITS, _NOROOT_AND_LOCKS)
    _prctl(_PR_CAP_AMBIENT, _PR_AMBIENT_CLEAR)


def drop_capabilities() -> None:
    _set_capabilities(0)


def keep_capability(kept: int) -> None:
    """Drop all capabilities but one, of those with low numbers."""
    _set_capabilities(1 << kept)


def _set_capabilities(effective: int) -> None:
    version_3 = (0x20080522).to_bytes(4, "little") + bytes(4)
    low = effective.to_bytes(4, "little")
    _call("capset", version_3, low + low + bytes(16))


def be_killed_first() -> None:
    """When memory runs out, the kernel takes this process and what it starts before others."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, b"500")
    except OSError:
        pass
    finally:
        os.close(fd)


def forbid_core_files() -> None:
    """A crash leaves nothing in the workspace, and no dump shows any memory."""
    core = 4
    limit(core, 0, 0)


def limit(which: int, soft: int, hard: int) -> None:
    """Lower a resource limit of this process; one that is lower already stays."""
    now = ctypes.create_string_buffer(16)
    _checked(_libc.getrlimit(ctypes.c_int(which), now), "getrlimit")
    hard = min(hard, int.from_bytes(now.raw[8:], "little"))
    soft = min(soft, hard, int.from_bytes(now.raw[:8], "little"))
    lowered = soft.to_bytes(8, "little") + hard.to_bytes(8, "little")
    _checked(_libc.setrlimit(ctypes.c_int(which), lowered), "setrlimit")


def load_filter(program: bytes) -> None:
    """Load a seccomp program for this process and all it starts."""
    _load_filter(program, 0)


def load_asking_filter(program: bytes) -> tuple[int, bool]:
    """Load a seccomp program like `load_filter`, which lets the kernel ask about system calls.

    Return where it asks, and whether any signal disturbs who waits for an answer. That is so
    before Linux 5.19; since then, only fatal ones do.
    """
    new_listener, wait_killable = 8, 32
    try:
        return _load_filter(program, new_listener | wait_killable), False
    except OSError:
        return _load_filter(program, new_listener), True


def _load_filter(program: bytes, flags: int) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    fprog = length.to_bytes(8, "little") + ctypes.addressof(code).to_bytes(8, "little")
    set_mode_filter, speculation_allowed = 1, 4
    return _call("seccomp", set_mode_filter, speculation_allowed | flags, fprog)


def pidfd_getfd(pidfd: int, number: int) -> int:
    """Return a descriptor of our own of what is `number` in another process."""
    return _call("pidfd_getfd", ctypes.c_int(pidfd), ctypes.c_int(number), 0)


def openat2(directory: int, path: bytes, flags: int, resolve: int) -> int:
    how = flags.to_bytes(8, "little") + bytes(8) + resolve.to_bytes(8, "little")
    return _call("openat2", ctypes.c_int(directory), path, how, ctypes.c_size_t(len(how)))


def read_memory(thread: int, address: int, length: int) -> bytes:
    """Return bytes of another process's memory. Raises OSError if not all of them are there."""
    read = ctypes.create_string_buffer(length)
    _copy_memory(_libc.process_vm_readv, thread, read, address)
    return read.raw


def write_memory(thread: int, address: int, data: bytes) -> None:
    """Write into another process's memory. Raises OSError if that is not possible."""
    _copy_memory(
        _libc.process_vm_writev, thread, ctypes.create_string_buffer(data, len(data)), address
    )


def _copy_memory(copy: Any, thread: int, buffer: ctypes.Array[ctypes.c_char], address: int) -> None:
    length = len(buffer).to_bytes(8, "little")
    ours = ctypes.addressof(buffer).to_bytes(8, "little") + length
    theirs = address.to_bytes(8, "little") + length
    one = ctypes.c_ulong(1)
    if copy(ctypes.c_int(thread), ours, one, theirs, one, ctypes.c_ulong(0)) != len(buffer):
        raise OSError(14, "the memory cannot be read or written")


def give_descriptor(listener: int, note_id: bytes, fd: int, flags: int) -> int:
    """Give whoever waits for an answer a descriptor of its own; return its number there."""
    add_descriptor, any_number = 0x40182103, bytes(4)
    asked = note_id + bytes(4) + fd.to_bytes(4, "little") + any_number + flags.to_bytes(4, "little")
    number: int = fcntl.ioctl(listener, add_descriptor, bytearray(asked), True)
    return number


def connect(fd: int, address: bytes) -> int:
    """Connect to an address as the kernel takes it; return the errno, 0 for none."""
    result = _libc.connect(ctypes.c_int(fd), address, ctypes.c_uint(len(address)))
    return ctypes.get_errno() if result < 0 else 0


def landlock_abi() -> int:
    """Return the version of Landlock, 0 where there is none."""
    if MACHINE not in TABLES:
        return 0
    result = _syscall(number("landlock_create_ruleset"), None, ctypes.c_size_t(0), 1)
    return max(0, int(result))


def landlock_ruleset(attributes: bytes) -> int:
    size = ctypes.c_size_t(len(attributes))
    return _call("landlock_create_ruleset", attributes, size, 0)


def landlock_allow(ruleset: int, access: int, fd: int) -> None:
    path_beneath = 1
    rule = access.to_bytes(8, "little") + fd.to_bytes(4, "little")
    _call("landlock_add_rule", ruleset, path_beneath, rule, 0)


def landlock_restrict(ruleset: int) -> None:
    _call("landlock_restrict_self", ruleset, 0)
