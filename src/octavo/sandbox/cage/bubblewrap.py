"""A cage of bubblewrap's making, where only `bwrap` may make namespaces.

Some systems give user namespaces to that program and no other. Each init is then a `bwrap` of its
own, started ahead of need: it makes the mounts of the plan and loads the filter, and `boxed` does
the rest. Namespaces are not shared between commands, which is what the gaps are about.

Nothing makes a `bwrap` end with its parent. Its child is the first process of the namespaces, and
waits for its word before anything else; without it, it waits for ever, and no end of any other
process is noticed there. So a start comes to its end, and its init ends by itself when its
supervisor is gone (see `boxed`). What waits for a `bwrap` that was killed nevertheless becomes a
child of this process, which ends it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import errno
import os
import stat
import sys

from . import abi, boxed, bpf, command, guard, selftest, words, zygote
from .orders import Orders
from .plan import KEPT_IN_RUN, Plan, is_under

PROGRAMS = ("/usr/bin/bwrap", "/usr/local/bin/bwrap")
"""Never looked for anywhere else: what stands in PATH may be the repository's."""
_LEAST_VERSION = (0, 8)
_INIT = "import sys; sys.path.append(sys.argv[1]); from cage.boxed import main; main()"
_ARGUMENTS_FD, _FILTER_FD, _INFO_FD, _TOLD_FD, _FIRST_MASK_FD = 4, 5, 6, 7, 8
_SAID_BYTES = 4096

_SERVERS_APART = "A server that one command has started cannot be reached by another command."
_TMP_APART = "Each command has a private temporary directory of its own, not one for the thread."
_WITHOUT_LIMIT = "How many processes a command may start is not limited for root."
_WITHOUT_BROKER = (
    "Unix sockets of this machine that were bound by a relative path, or are new, can be reached "
    "by commands."
)


class BubblewrapCage:
    """Makes inits in namespaces that bubblewrap makes. OSError where it is not to be had."""

    def __init__(self, orders: Orders, plan: Plan) -> None:
        self._program = _find_program()
        _check_version(self._program)
        for path in plan.protected:
            if os.path.islink(path):
                raise OSError(errno.ELOOP, f"bubblewrap cannot hold the symbolic link {path}")
        self._plan = plan
        self._network = orders.network
        self._masks = dict.fromkeys(plan.masks)
        self._holds: dict[str, None] = {}
        self._started: set[int] = set()
        self._filter = bpf.program(inet=True, unix=True)
        writable = [*plan.roots, *plan.private]
        self._walls: boxed.Walls = (writable, plan.changeable, plan.programs)
        self.gaps = [] if orders.network else [_SERVERS_APART]
        self.gaps.append(_WITHOUT_BROKER)
        if plan.private:
            self.gaps.append(_TMP_APART)
        if os.geteuid() == 0:
            self.gaps.append(_WITHOUT_LIMIT)

    def prove(self, probe: selftest.Probe) -> None:
        """Let one init try to escape. Raises OSError saying what it could do, or what failed."""
        probe.forget_relative()
        _signal.signal(command.SIGCHLD, lambda *_: self._end_orphans())
        heard, errors = os.pipe()
        theirs, pid, _ = self._start((words.PROVE, (self._walls, probe.values())), errors)
        os.close(errors)
        message, _ = words.receive(theirs)
        theirs.close()
        os.waitpid(pid, 0)
        failed = os.read(heard, _SAID_BYTES).decode("utf-8", "replace").strip()
        os.close(heard)
        if not message.startswith(words.RESULT):
            said = failed or "the self-test was killed"
            raise OSError(_errno_in(said), said.removeprefix("bwrap: ").rstrip("."))
        if len(message) > 1:
            raise OSError(errno.EPERM, message[1:].decode("utf-8", "replace"))

    def run(self, sock: _socket.socket) -> None:
        """Make inits until the supervisor is gone, and end them all."""

        def make() -> int:
            theirs, pid, first = self._start((words.WALLS, self._walls), None)
            # Without a first process bubblewrap has failed; the supervisor notices by its end.
            zygote.hand_over(sock, theirs, first if _lives(first) else pid)
            return pid

        def hide(path: str) -> None:
            self._masks[path] = None

        def hold(path: str) -> None:
            self._holds[path] = None

        try:
            zygote.serve_supervisor(sock, make, hide=hide, hold=hold)
        finally:  # also where a supervisor that has gone cannot be given what it asked for
            _end_all()

    def _end_orphans(self) -> None:
        """End what a `bwrap` has left that somebody has killed, when memory ran out for one."""
        children = guard.children(os.getpid())
        for pid in children:
            if pid not in self._started and _is_inside(pid):
                guard.send(pid, command.SIGKILL)
        self._started.intersection_update(children)

    def _start(
        self, first: tuple[bytes, object], errors: int | None
    ) -> tuple[_socket.socket, int, int]:
        """Start an init with its first message.

        Returns:
            the socket to it, the pid of its `bwrap`, and its own; 0 if there is none.
        """
        theirs, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        masked = [path for path in self._masks if os.path.lexists(path) and self._is_seen(path)]
        if os.geteuid() == 0:
            masked = [path for path in masked if _is_reachable(os.path.dirname(path))]
        folders = {path for path in masked if os.path.isdir(path)}
        masked = [path for path in masked if not is_under(os.path.dirname(path), [*folders])]
        options, files = self._options(masked)
        arguments = words.memory_file(b"".join(os.fsencode(word) + b"\0" for word in options))
        program = words.memory_file(self._filter)
        for file in (arguments, program):
            os.lseek(file, 0, os.SEEK_SET)
        told, info = os.pipe()
        words.ask(theirs, *first)
        pid = os.fork()
        if pid == 0:
            try:
                abi.be_killed_first()
                # A keeper that is killed must not close the pipe that `bwrap` writes to.
                self._execute([its.fileno(), arguments, program, info, told], files, errors)
            finally:
                os._exit(1)
        self._started.add(pid)
        for fd in (arguments, program, info):
            os.close(fd)
        its.close()
        return theirs, pid, _first_process(told)

    def _execute(self, given: list[int], files: int, errors: int | None) -> None:
        """Become `bwrap`, with `given` from descriptor 3 on, and empty files for the masks."""
        import fcntl

        if errors is not None:
            os.dup2(errors, 2)
        above = _FIRST_MASK_FD + files
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in given]
        for number, fd in enumerate(high, boxed.SOCKET_FD):
            os.dup2(fd, number)
        empty = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        empty = fcntl.fcntl(empty, fcntl.F_DUPFD_CLOEXEC, above)
        for number in range(_FIRST_MASK_FD, above):
            os.dup2(empty, number)
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        python = [sys.executable, "-I", "-S", "-c", _INIT, here]
        os.execve(self._program, ["bwrap", "--args", str(_ARGUMENTS_FD), "--", *python], {})

    def _is_seen(self, path: str) -> bool:
        """Return whether `path` is the host's inside: bubblewrap would make what is not there."""
        if is_under(path, ["/run"]):
            return is_under(path, list(KEPT_IN_RUN))
        if is_under(path, ["/dev", "/proc"]):
            return False
        shown = [bound for bound, _ in self._plan.binds()]
        return not is_under(path, self._plan.private) or is_under(path, shown)

    def _options(self, masked: list[str]) -> tuple[list[str], int]:
        """Return what `bwrap` shall do, in order, and how many empty files it needs."""
        plan = self._plan
        options = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        options += [] if self._network else ["--unshare-net"]
        options += ["--as-pid-1", "--cap-drop", "ALL", "--chdir", "/"]
        options += ["--seccomp", str(_FILTER_FD), "--info-fd", str(_INFO_FD)]
        options += ["--ro-bind", "/", "/", "--dev", "/dev"]
        options += ["--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
        if os.path.isdir("/run"):
            options += ["--perms", "0755", "--tmpfs", "/run"]
            for path in KEPT_IN_RUN:
                options += ["--ro-bind", path, path] if os.path.isdir(path) else []
            options += ["--dir", "/run/lock", "--remount-ro", "/run"]
        for path in sorted(plan.private):
            inside = any(path.startswith(other + "/") for other in plan.private)
            options += ["--perms", "1777", "--dir" if inside else "--tmpfs", path]
        for path, writable in plan.binds():
            if os.path.lexists(path):
                options += ["--bind-try" if writable else "--ro-bind-try", path, path]
        for path in self._holds:
            if os.path.lexists(path) and not os.path.islink(path):
                options += ["--ro-bind-try", path, path]
        for path, target in plan.links:
            options += ["--symlink", target, path]
        files = 0
        for path in masked:
            if os.path.isdir(path):
                options += ["--perms", "0000", "--tmpfs", path, "--remount-ro", path]
            else:
                number = str(_FIRST_MASK_FD + files)
                options += ["--perms", "0000", "--ro-bind-data", number, path]
                files += 1
        return [*options, "--proc", "/proc", "--remount-ro", "/proc"], files


def _end_all() -> None:
    """End every `bwrap`, and then what has become a child of this process by that."""
    while children := guard.children(os.getpid()):
        for pid in children:
            guard.send(pid, command.SIGKILL)
        os.waitpid(-1, 0)


def _is_inside(pid: int) -> bool:
    """Return whether a process is in a pid namespace below this one."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            pids = file.read().partition(b"\nNSpid:")[2].partition(b"\n")[0]
    except OSError:
        return False
    return len(pids.split()) > 1


def _lives(pid: int) -> bool:
    """Return whether a child's child has not been waited for, which nobody but its parent does."""
    return pid > 0 and guard.send(pid, 0)


def _is_reachable(folder: str) -> bool:
    """Return whether root of the inside, who owns nothing but root's files, comes to `folder`.

    What it cannot come to is hidden from commands already, and cannot be masked.
    """
    groups = {os.getegid(), *os.getgroups()}
    while True:
        try:
            state = os.stat(folder)
        except OSError:  # it has gone, and what was in it
            return False
        if (state.st_uid, state.st_gid) != (0, 0):
            bit = 0o100 if state.st_uid == 0 else 0o010 if state.st_gid in groups else 0o001
            if not state.st_mode & bit and not _has_list(folder):
                return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)


def _has_list(folder: str) -> bool:
    """Return whether an access list may say something else than the mode."""
    try:
        return "system.posix_acl_access" in os.listxattr(folder)
    except OSError:
        return False


def _find_program() -> str:
    found = ""
    for path in PROGRAMS:
        try:
            states = [os.stat(path), os.stat(os.path.dirname(path))]
        except OSError:
            continue
        found = path
        of_root = all(state.st_uid == 0 and not state.st_mode & 0o022 for state in states)
        if of_root and stat.S_ISREG(states[0].st_mode):
            return path
    if found:
        raise OSError(errno.EPERM, f"{found} is not used, because others than root may change it")
    raise OSError(errno.ENOENT, f"there is no {PROGRAMS[0]}")


def _check_version(program: str) -> None:
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(tell, 1)
            os.execve(program, ["bwrap", "--version"], {})
        finally:
            os._exit(1)
    os.close(tell)
    said = os.read(told, _SAID_BYTES).decode("utf-8", "replace").strip()
    os.close(told)
    os.waitpid(pid, 0)
    parts = said.rpartition(" ")[2].split(".")
    numbers = tuple(int(part) for part in parts[:2] if part.isdigit())
    if numbers < _LEAST_VERSION:
        raise OSError(errno.ENOSYS, f"bubblewrap 0.8 or later is needed, found {said or 'none'}")


def _first_process(told: int) -> int:
    """Return the pid that `bwrap` tells of, in JSON; 0 if it ends without."""
    said = b""
    while b"}" not in said:
        part = os.read(told, _SAID_BYTES)
        if not part:
            break
        said += part
    os.close(told)
    after = said.partition(b'"child-pid":')[2]
    digits = after.replace(b"}", b",").partition(b",")[0].strip()
    return int(digits) if digits.isdigit() else 0


def _errno_in(said: str) -> int:
    """Return the number of the error that a message ends with, or stands for."""
    if "No permissions to creat" in said:
        return errno.EPERM
    for number in errno.errorcode:
        if said.endswith(os.strerror(number)):
            return number
    return 0
