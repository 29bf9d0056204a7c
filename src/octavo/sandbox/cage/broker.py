"""The one process that connects sockets for commands.

A network namespace does not confine unix sockets that have a path: whoever sees the path of one,
reaches the program behind it. So the kernel asks here about every `connect` of a command. A unix
socket is connected if its listener belongs to the cage, or if a person allowed it; every other kind
is connected as asked, because the namespace confines it.

What is judged is what is connected: this process has its own descriptor of the command's socket and
of the place its path led to, and connects the one to the other itself. It never tells the kernel to
go on with a command's own call, whose memory and descriptors may have changed meanwhile. When this
process is gone, nothing connects any more.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import fcntl
import os
import stat
import time

from . import abi, diag, pairs, words

_RECEIVE, _ANSWER, _STILL_WAITS = 0xC0502100, 0xC0182101, 0x40082102
_NOTE_BYTES = 80
_SO_DOMAIN, _PEER_CREDENTIALS = 39, 12
_LONGEST_ADDRESS = 128
_PIDFD_THREAD = os.O_EXCL
_AF_UNIX = _socket.AF_UNIX

WORKERS = 256
"""Connections that may wait at a time, for a listener that does not accept."""
_KEPT_WORKERS = 4
_STACK_BYTES = 256 * 1024
_TRIES, _PAUSE_S, _TOLD = 100, 0.001, 256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Identity = tuple[int, int]


def be_broker(fd: int, allowed: list[str], *, apart: bool) -> None:
    """Answer until this process is killed; see `asking.Asking` for who is at the other end."""
    abi.die_with_parent(9)
    os.closerange(3, fd)
    os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))
    sock = _socket.socket(fileno=fd)
    if sock.recv(1) != words.BROKER_BEGIN:
        return
    try:
        abi.unshare(abi.CLONE_NEWNS, "mount namespace of the broker")
        abi.mount("proc", "/proc", abi.MS_RDONLY | abi.MS_NOSUID | abi.MS_NODEV | abi.MS_NOEXEC)
        broker = Broker(allowed, apart=apart)
        diag.listeners()
        abi.no_new_privileges()
        abi.lock_capabilities()
        abi.keep_capability(abi.CAP_SYS_PTRACE)
        abi.become_undumpable()
        _thread.stack_size(_STACK_BYTES)
    except OSError as error:
        sock.send(str(error.strerror or error).encode())
        return
    sock.send(words.BROKER_READY)
    said, listeners = words.receive(sock)
    if listeners:
        broker.begin(listeners[0], disturbed=said == words.BROKER_DISTURBED)


class Broker:
    """Answers for one cage, with as many threads as wait."""

    def __init__(self, allowed: list[str], *, apart: bool) -> None:
        self._apart = apart
        self._disturbed = False
        self._allowed: dict[Identity, int] = {}
        """Held open, so that no other socket becomes what one of them was."""
        for path in allowed:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            self._allowed[_identity(place)] = place
        self._socketpair = abi.number("socketpair")
        self._in_hand: list[int] = []
        """Sockets that a thread is about to connect."""
        self._told: dict[int, int] = {}
        """The last good answers, by socket; only where signals can keep them from being heard."""
        self._lock = _thread.allocate_lock()
        self._first = _thread.get_ident()
        self._workers = self._idle = 1

    def begin(self, listener: int, *, disturbed: bool) -> None:
        """Answer for ever.

        Args:
            listener: where the kernel asks.
            disturbed: who waits for an answer may miss it because of a signal.
        """
        self._disturbed = disturbed
        self.serve(listener)

    def serve(self, listener: int) -> None:
        """Answer for ever; extra threads end when there is less to do."""
        while True:
            try:
                note = fcntl.ioctl(listener, _RECEIVE, bytes(_NOTE_BYTES))
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # whoever asked is gone
                os._exit(1)
            with self._lock:
                self._idle -= 1
                if not self._idle and self._workers < WORKERS:
                    self._add_worker(listener)
            self._answer(listener, note)
            with self._lock:
                self._idle += 1
                if self._idle > _KEPT_WORKERS and _thread.get_ident() != self._first:
                    self._idle -= 1
                    self._workers -= 1
                    return

    def _add_worker(self, listener: int) -> None:
        try:
            _thread.start_new_thread(self.serve, (listener,))
        except RuntimeError:  # there is no room for a thread now
            return
        self._workers += 1
        self._idle += 1

    def _answer(self, listener: int, note: bytes) -> None:
        if int.from_bytes(note[16:20], "little") == self._socketpair:
            _say(listener, note, _errno_of(lambda: pairs.make(listener, note)))
            return
        try:
            sock, thread, address = _asked(listener, note)
        except OSError as error:
            _say(listener, note, error.errno or errno.EACCES)
            return
        with _closing(sock):
            inode = os.fstat(sock.fileno()).st_ino
            with self._lock:
                self._in_hand.append(inode)
            code = _errno_of(lambda: self._connect(sock, thread, address))
            if code in (errno.EISCONN, errno.EALREADY):
                code = self._asked_again(inode, code)
            _say(listener, note, code)
            with self._lock:
                self._in_hand.remove(inode)
                if self._disturbed and code in (0, errno.EINPROGRESS):
                    self._told[inode] = code
                    if len(self._told) > _TOLD:
                        del self._told[next(iter(self._told))]

    def _asked_again(self, inode: int, code: int) -> int:
        """Return what was told about this socket, which a signal may have kept from being heard.

        A call that is begun anew after a signal must not hear that it has been made already.
        """
        for _ in range(_TRIES if self._disturbed else 0):
            with self._lock:
                if inode in self._told:
                    return self._told.pop(inode)
                if self._in_hand.count(inode) == 1:
                    break
            time.sleep(_PAUSE_S)
        return code

    def _connect(self, sock: _socket.socket, thread: int, address: bytes) -> int:
        """Connect to where the thread's address leads; return the errno, 0 for none."""
        if sock.getsockopt(_socket.SOL_SOCKET, _SO_DOMAIN) != _AF_UNIX:
            return abi.connect(sock.fileno(), address)
        return self._connect_unix(sock, thread, address)

    def _connect_unix(self, sock: _socket.socket, thread: int, address: bytes) -> int:
        if int.from_bytes(address[:2], "little") != _AF_UNIX or len(address) < 3:
            return errno.EINVAL
        if sock.type not in (_socket.SOCK_STREAM, _socket.SOCK_SEQPACKET):
            return errno.EACCES  # such a one can be sent to any path later, without asking
        if address[2] == 0:
            if not self._apart and not _is_held(diag.named(address[2:])):
                return errno.ECONNREFUSED
            return abi.connect(sock.fileno(), address)
        place = _open_place(thread, address[2:].split(b"\0", 1)[0])
        try:
            is_socket = stat.S_ISSOCK(os.fstat(place).st_mode)
            is_allowed = _identity(place) in self._allowed
            if is_socket and not is_allowed and not self._is_of_the_cage(place, thread):
                return errno.EACCES
            code = abi.connect(sock.fileno(), _address(f"/proc/self/fd/{place}"))
        finally:
            os.close(place)
        if code == 0 and not is_allowed and _is_foreign(sock):
            sock.shutdown(_socket.SHUT_RDWR)
            return errno.EACCES
        return code

    def _is_of_the_cage(self, place: int, thread: int) -> bool:
        """Whether the socket at `place` belongs to somebody in the cage."""
        found = diag.bound_to(*_identity(place)) or diag.bound_to(*_kernel_identity(place, thread))
        return bool(found) and (self._apart or _is_held(found))


def _asked(listener: int, note: bytes) -> tuple[_socket.socket, int, bytes]:
    """Return the socket of whoever asks, as our own, its thread, and a copy of the address."""
    thread = int.from_bytes(note[8:12], "little")
    number = int.from_bytes(note[32:36], "little")
    address_at = int.from_bytes(note[40:48], "little")
    length = int.from_bytes(note[48:52], "little")
    fd = _take(thread, number)
    try:
        if length > _LONGEST_ADDRESS:
            raise OSError(errno.EINVAL, "the address is too long")
        address = abi.read_memory(thread, address_at, length)
        fcntl.ioctl(listener, _STILL_WAITS, note[:8])  # so it was this thread's, all of it
        return _socket.socket(fileno=fd), thread, address
    except BaseException:
        os.close(fd)
        raise


def _say(listener: int, note: bytes, code: int) -> None:
    """Answer with an errno, 0 for none. Whoever asked may be gone."""
    answer = note[:8] + bytes(8) + (-code).to_bytes(4, "little", signed=True) + bytes(4)
    try:
        fcntl.ioctl(listener, _ANSWER, answer)
    except OSError:
        return


def _errno_of(action: Callable[[], int]) -> int:
    try:
        return action()
    except OSError as error:
        return error.errno or errno.EACCES
    except BaseException:  # noqa: BLE001  # whatever it was, nothing was connected
        return errno.EACCES


def _take(thread: int, number: int) -> int:
    """Return a descriptor of our own of what is `number` in a thread."""
    try:
        pidfd = os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError:  # before Linux 6.9
        pidfd = os.pidfd_open(_leader(thread))
    try:
        return abi.pidfd_getfd(pidfd, number)
    finally:
        os.close(pidfd)


def _leader(thread: int) -> int:
    for line in _read(f"/proc/{thread}/status").splitlines():
        if line.startswith(b"Tgid:"):
            return int(line[5:])
    raise OSError(errno.ESRCH, "the thread is gone")


def _open_place(thread: int, path: bytes) -> int:
    """Return a descriptor of where a thread's path leads, from its own root or directory."""
    is_absolute = path.startswith(b"/")
    base = "root" if is_absolute else "cwd"
    start_at = os.open(f"/proc/{thread}/{base}", os.O_PATH | os.O_CLOEXEC)
    try:
        how = abi.RESOLVE_IN_ROOT if is_absolute else abi.RESOLVE_NO_MAGICLINKS
        return abi.openat2(start_at, path, os.O_PATH | os.O_CLOEXEC, how)
    finally:
        os.close(start_at)


def _identity(place: int) -> Identity:
    state = os.fstat(place)
    return state.st_dev, state.st_ino


def _kernel_identity(place: int, thread: int) -> Identity:
    """Return device and inode as the kernel has them, where a file system shows others."""
    told = dict(line.split(b":", 1) for line in _read(f"/proc/self/fdinfo/{place}").splitlines())
    mount = told[b"mnt_id"].strip()
    for line in _read(f"/proc/{thread}/mountinfo").splitlines():
        number, _, device, _ = line.split(b" ", 3)
        if number == mount:
            major, minor = map(int, device.split(b":"))
            return os.makedev(major, minor), int(told[b"ino"])
    return -1, -1


def _is_held(sockets: list[int]) -> bool:
    """Whether a process of the cage has one of the sockets open."""
    wanted = {f"socket:[{number}]" for number in sockets}
    if not wanted:
        return False
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") in wanted:
                    return True
        except OSError:
            continue
    return False


def _is_foreign(sock: _socket.socket) -> bool:
    """Whether whoever listens is no process of the cage: such ones have no number here.

    The kernel tells the inode of a socket in 32 bits; this is for when two have the same.
    """
    credentials = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, _PEER_CREDENTIALS)
    return not any(credentials[:4])


def _address(path: str) -> bytes:
    return _AF_UNIX.to_bytes(2, "little") + path.encode() + b"\0"


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.readall()


class _closing:  # noqa: N801  # contextlib imports more than all of this
    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._sock.close()
