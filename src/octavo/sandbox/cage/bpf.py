"""The system call filter, assembled by hand for the machine it runs on.

A list of what is refused, arranged as a search tree over the numbers, so that an allowed call
costs a few comparisons. It stops what namespaces and Landlock cannot: mounts, new namespaces,
keyrings, io_uring, set-id bits, odd socket families, faked keystrokes. It cannot look behind
pointers, so paths and addresses are not its business.
"""

from __future__ import annotations

from . import abi

_Step = tuple[int, int, int, int]
"""Operation, operand, steps to skip if true, steps to skip if false."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN, _JUMP = 0x20, 0x15, 0x35, 0x45, 0x06, 0x05
_MASK = 0x54
_ALLOW, _KILL_PROCESS, _ERRNO, _ASK = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_EPERM, _ENOSYS = _ERRNO | 1, _ERRNO | 38
_NUMBER, _ARCHITECTURE = 0, 4
_X32_BIT = 0x40000000

_REFUSED = """
    mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsmount fsconfig fspick
    mount_setattr chroot setns kexec_load kexec_file_load init_module finit_module delete_module
    create_module query_module bpf perf_event_open add_key request_key keyctl open_by_handle_at
    name_to_handle_at reboot swapon swapoff acct quotactl quotactl_fd settimeofday clock_settime
    clock_adjtime adjtimex sethostname setdomainname syslog userfaultfd fanotify_init
    lookup_dcookie nfsservctl vhangup kcmp iopl ioperm pidfd_getfd move_pages migrate_pages
    modify_ldt uselib ustat sysfs
"""
_ABSENT = "io_uring_setup io_uring_enter io_uring_register clone3 openat2"
"""Answered as on an older kernel, so that programs take the way they have for one."""

_REFUSED_BESIDE_OTHERS = """
    shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink
"""
"""Refused where a command shares the machine's ipc namespace: it would reach what others made."""

_NEW_NAMESPACES = (
    abi.CLONE_NEWNS | abi.CLONE_NEWCGROUP | abi.CLONE_NEWUTS | abi.CLONE_NEWIPC
    | abi.CLONE_NEWUSER | abi.CLONE_NEWPID | abi.CLONE_NEWNET
)  # fmt: skip
_SET_ID_BITS = 0o6000
_CREATES = 0o100 | 0o20000000
"""O_CREAT and O_TMPFILE: only then does an open have a mode."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SOCK_STREAM, _SOCK_DGRAM, _SOCK_SEQPACKET, _SOCKET_TYPE = 1, 2, 5, 0xF
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0


def _argument(index: int) -> _Step:
    return (_LOAD, 16 + 8 * index, 0, 0)


def _refuse_bits(argument: int, bits: int) -> list[_Step]:
    return [_argument(argument), (_ANY_BIT, bits, 0, 1), (_RETURN, _EPERM, 0, 0), _ALLOWED]


_ALLOWED: _Step = (_RETURN, _ALLOW, 0, 0)
_CONNECTED: list[_Step] = [
    _argument(1),
    (_MASK, _SOCKET_TYPE, 0, 0),
    (_EQUAL, _SOCK_STREAM, 1, 0),
    (_EQUAL, _SOCK_SEQPACKET, 0, 1),
    _ALLOWED,
    (_RETURN, _EPERM, 0, 0),
]
"""Unix sockets that have to be connected: a datagram can be sent to any path with no `connect`."""


def _refuse_values(argument: int, values: tuple[int, ...]) -> list[_Step]:
    tests = [(_EQUAL, value, len(values) - n, 0) for n, value in enumerate(values)]
    return [_argument(argument), *tests, _ALLOWED, (_RETURN, _EPERM, 0, 0)]


def _sockets(families: tuple[int, ...]) -> list[_Step]:
    """Allow `families`, and netlink for routes only (glibc asks it for addresses)."""
    if not families:
        return [(_RETURN, _EPERM, 0, 0)]
    known: list[_Step] = []
    for family in families:
        then = _CONNECTED if family == _AF_UNIX else [_ALLOWED]
        known += [(_EQUAL, family, 0, len(then)), *then]
    return [
        _argument(0),
        *known,
        (_EQUAL, _AF_NETLINK, 0, 3),
        _argument(2),
        (_EQUAL, _NETLINK_ROUTE, 0, 1),
        _ALLOWED,
        (_RETURN, _EPERM, 0, 0),
    ]


def _set_id_on_create(flags: int, mode: int) -> list[_Step]:
    return [
        _argument(flags),
        (_ANY_BIT, _CREATES, 0, 2),
        _argument(mode),
        (_ANY_BIT, _SET_ID_BITS, 1, 0),
        _ALLOWED,
        (_RETURN, _EPERM, 0, 0),
    ]


def _only_for_itself(argument: int) -> list[_Step]:
    """Allow a call on the caller only, which it names as 0."""
    return [_argument(argument), (_EQUAL, 0, 0, 1), _ALLOWED, (_RETURN, _EPERM, 0, 0)]


def _rules(families: tuple[int, ...], *, apart: bool, brokered: bool) -> dict[str, list[_Step]]:
    rules: dict[str, list[_Step]] = {}
    for name in _REFUSED.split():
        rules[name] = [(_RETURN, _EPERM, 0, 0)]
    for name in _ABSENT.split():
        rules[name] = [(_RETURN, _ENOSYS, 0, 0)]
    if not apart:
        for name in _REFUSED_BESIDE_OTHERS.split():
            rules[name] = [(_RETURN, _EPERM, 0, 0)]
        rules["prlimit64"] = _only_for_itself(0)
    rules["clone"] = _refuse_bits(0, _NEW_NAMESPACES)
    rules["unshare"] = _refuse_bits(0, _NEW_NAMESPACES | abi.CLONE_NEWTIME)
    rules["ioctl"] = _refuse_values(1, (_TIOCSTI, _TIOCLINUX))
    rules["socket"] = _sockets(families)
    of_unix = [_argument(0), (_EQUAL, _AF_UNIX, 1, 0), (_RETURN, _EPERM, 0, 0)]
    packets = [_argument(1), (_MASK, _SOCKET_TYPE, 0, 0), (_EQUAL, _SOCK_DGRAM, 0, 1), _ALLOWED]
    rules["socketpair"] = [*of_unix, *(packets if brokered else []), *_CONNECTED]
    for name, mode in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2),
                       ("mknod", 1), ("mknodat", 2), ("creat", 1)):  # fmt: skip
        rules[name] = _refuse_bits(mode, _SET_ID_BITS)
    rules["open"] = _set_id_on_create(1, 2)
    rules["openat"] = _set_id_on_create(2, 3)
    return rules


_assembled: dict[tuple[bool, bool, bool, bool, str], bytes] = {}
"""Filters by what they are for; `functools` would take longer to load than they to assemble."""


def program(
    *,
    inet: bool,
    unix: bool,
    apart: bool = True,
    brokered: bool = False,
    machine: str = abi.MACHINE,
) -> bytes:
    """Return the cage's filter.

    Args:
        inet: internet sockets may be made.
        unix: unix sockets may be made.
        apart: commands have namespaces of their own, so whom they meet there is theirs.
        brokered: there is somebody to ask, see `asking`.
        machine: whose numbers to use.
    """
    asked = (inet, unix, apart, brokered, machine)
    if asked not in _assembled:
        families = ((_AF_INET, _AF_INET6) if inet else ()) + ((_AF_UNIX,) if unix else ())
        _assembled[asked] = assemble(_rules(families, apart=apart, brokered=brokered), machine)
    return _assembled[asked]


def asking() -> bytes:
    """Return a filter that asks the broker about what is its business, and allows all else."""
    asks: _Step = (_RETURN, _ASK, 0, 0)
    of_datagrams = [_argument(1), (_MASK, _SOCKET_TYPE, 0, 0), (_EQUAL, _SOCK_DGRAM, 0, 1)]
    return assemble({"connect": [asks], "socketpair": [*of_datagrams, asks, _ALLOWED]})


def assemble(named: dict[str, list[_Step]], machine: str = abi.MACHINE) -> bytes:
    """Return a filter of rules by system call name; names a machine does not have are left out."""
    architecture, numbers = abi.TABLES[machine]
    rules = {numbers[name]: steps for name, steps in named.items() if name in numbers}
    head: list[_Step] = [
        (_LOAD, _ARCHITECTURE, 0, 0),
        (_EQUAL, architecture, 1, 0),
        (_RETURN, _KILL_PROCESS, 0, 0),
        (_LOAD, _NUMBER, 0, 0),
    ]
    if machine == "x86_64":
        head += [(_AT_LEAST, _X32_BIT, 0, 1), (_RETURN, _ENOSYS, 0, 0)]
    tree_length = len(_tree(sorted(rules), {}))
    starts: dict[int, int] = {}
    bodies: list[_Step] = []
    for key, steps in sorted(rules.items()):
        starts[key] = len(head) + tree_length + len(bodies)
        bodies += steps
    steps = head + _tree(sorted(rules), starts, len(head)) + bodies
    return b"".join(_encode(step) for step in steps)


def _tree(keys: list[int], starts: dict[int, int], at: int = 0) -> list[_Step]:
    """Return steps that find the number in `keys` and jump to its rule; `at` is where they lie."""
    if len(keys) <= 2:
        leaf: list[_Step] = []
        for key in keys:
            leaf.append((_EQUAL, key, 0, 1))
            leaf.append((_JUMP, starts.get(key, 0) - (at + len(leaf)) - 1, 0, 0))
        return [*leaf, _ALLOWED]
    middle = len(keys) // 2
    low = _tree(keys[:middle], starts, at + 2)
    high = _tree(keys[middle:], starts, at + 2 + len(low))
    return [(_AT_LEAST, keys[middle], 0, 1), (_JUMP, len(low), 0, 0), *low, *high]


def _encode(step: _Step) -> bytes:
    operation, operand, if_true, if_false = step
    code = operation.to_bytes(2, "little") + bytes((if_true, if_false))
    return code + (operand & 0xFFFFFFFF).to_bytes(4, "little")
