"""A tier is believed only after a process inside it has tried to get out and failed.

What is tried is real: a file made where the supervisor can make one, each masked secret read,
each protected path opened for writing, listeners of the supervisor's host called, the supervisor
signalled. Where nothing is there to reach, there is nothing to try.
"""

from __future__ import annotations

import _socket
import errno
import os

from . import abi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Tries:
    """What to try: plain values, which can be told to a process that is not a fork."""

    def __init__(
        self,
        *,
        outside: list[str],
        masks: list[str],
        protected: list[str],
        network: bool,
        host_pid: int,
        port: int,
        name: bytes,
        directory: str,
        relative: str,
    ) -> None:
        self.outside = outside
        """Directories outside the writable roots in which the supervisor can make files."""
        self.masks = masks
        self.protected = protected
        self.network = network
        self.host_pid = host_pid
        self.port = port
        self.name = name
        self.directory = directory
        self.relative = relative
        """A socket bound in `directory` by a relative path, which no list of sockets leads to; ""
        where there is none, or nothing that would stop one."""
        self.hides_processes = True
        self.stops_signals = True


class Probe(Tries):
    """What to try, prepared on the host; `close` when the cage has proved itself."""

    def __init__(
        self,
        *,
        outside: list[str],
        masks: list[str],
        protected: list[str],
        network: bool,
        directory: str,
    ) -> None:
        self.stream = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self.stream.bind(("127.0.0.1", 0))
        self.stream.listen(1)
        self.abstract = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        name = b"\0octavo-" + os.urandom(8).hex().encode()
        self.abstract.bind(name)
        self.abstract.listen(1)
        super().__init__(
            outside=outside,
            masks=masks,
            protected=protected,
            network=network,
            host_pid=os.getpid(),
            port=self.stream.getsockname()[1],
            name=name,
            directory=directory,
            relative="",
        )
        self._name = f".selftest-{os.urandom(8).hex()}"
        self._named = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._bind_relatively()

    def values(self) -> dict[str, object]:
        """Return what `Tries` is made of."""
        names = ("outside", "masks", "protected", "network", "host_pid", "port", "name")
        return {name: getattr(self, name) for name in (*names, "directory", "relative")}

    def _bind_relatively(self) -> None:
        try:
            before = os.open(".", os.O_PATH | os.O_CLOEXEC)
            os.chdir(self.directory)
            self._named.bind(self._name)
            os.fchdir(before)
            os.close(before)
        except OSError:
            return
        self._named.listen(1)
        self.relative = self._name

    def forget_relative(self) -> None:
        """Do not try what cannot be stopped here, which is told as a gap."""
        self.relative = ""

    def close(self) -> None:
        """Close everything; on the host, nothing is left of it."""
        self.stream.close()
        self.abstract.close()
        self._named.close()
        try:
            os.unlink(os.path.join(self.directory, self._name))
        except OSError:
            return


def run_and_exit(tell: int, confine: Callable[[], None], probe: Probe) -> None:
    """In a child that will be confined: try everything, tell what worked, and end."""
    try:
        confine()
        abi.become_dumpable()
        said = try_to_escape(probe)
    except OSError as error:
        said = f"confining a command failed: {error.strerror}"
    except BaseException as error:  # noqa: BLE001  # whatever it was, the tier must not be believed
        said = f"the self-test failed: {error!r}"
    os.write(tell, b"." + said.encode("utf-8", "replace")[:4000])
    os._exit(0)


def believe(told: int) -> None:
    """Hear what a child could do. Raises OSError unless that was nothing."""
    said = os.read(told, 4096)
    os.close(told)
    if said != b".":
        raise OSError(errno.EPERM, said[1:].decode() or "the self-test was killed")


def try_to_escape(probe: Tries) -> str:
    """Return what could be done and must not be, as one sentence; "" when the walls hold."""
    for directory in probe.outside:
        if _can_write(directory):
            return f"a file could be made in {directory}"
    for path in probe.masks:
        if _can_read(path):
            return f"{path} could be read"
    for path in probe.protected:
        if _can_change(path):
            return f"{path} could be written"
    if not probe.network and _can_connect(_socket.AF_INET, ("127.0.0.1", probe.port)):
        return "a port of this machine could be reached"
    if not probe.network and _can_connect(_socket.AF_UNIX, probe.name):
        return "a socket of this machine could be reached"
    if probe.relative and _can_connect_relatively(probe.directory, probe.relative):
        return "a socket of this machine that has a path could be reached"
    if probe.hides_processes:
        if any(name.isdigit() and name != "1" for name in os.listdir("/proc")):
            return "processes of this machine could be seen"
    elif probe.stops_signals and _can_signal(probe.host_pid):
        return "processes of this machine could be signalled"
    return ""


def _can_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _can_write(directory: str) -> bool:
    path = os.path.join(directory, f".octavo-selftest-{os.urandom(6).hex()}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    os.unlink(path)
    return True


def _can_read(path: str) -> bool:
    try:
        if os.path.isdir(path):
            return any(_can_read(os.path.join(path, name)) for name in os.listdir(path)[:8])
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _can_change(path: str) -> bool:
    if os.path.islink(path):
        return False
    if os.path.isdir(path):
        return _can_write(path)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.ETXTBSY
    return True


def _can_connect_relatively(directory: str, name: str) -> bool:
    try:
        os.chdir(directory)
    except OSError:
        return False
    return _can_connect(_socket.AF_UNIX, name)


def _can_connect(family: int, address: object) -> bool:
    try:
        sock = _socket.socket(family, _socket.SOCK_STREAM)
    except OSError:
        return False
    try:
        sock.connect(address)  # type: ignore[arg-type]  # either kind of address, by family
    except OSError:
        return False
    finally:
        sock.close()
    return True
