"""A single-use init that bubblewrap has put into its namespaces.

Bubblewrap made the mounts and loaded the filter. The rest of the walls is raised here, as in the
full tier, before this process hears what it is for. Only its socket comes in with it.

Nothing outside ends it when the supervisor is gone, so it sees to that itself: until it has a
command by reading, and then by a signal of the kernel's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import fcntl
import os

from . import abi, command, init, landlock, mounts, selftest, words

SOCKET_FD = 3
_SIGIO = 29

Walls = tuple[list[str], list[str], list[str] | None]
"""Trees that may be written, those in which file operations may change something, and the only
programs that can be executed, if there are such."""


def main() -> None:
    """Serve one request of the supervisor at the other end of descriptor 3."""
    os.closerange(SOCKET_FD + 1, os.sysconf("SC_OPEN_MAX"))
    sock = _socket.socket(fileno=SOCKET_FD)
    its_commands_inherit_it = False
    os.set_inheritable(SOCKET_FD, its_commands_inherit_it)
    message, fds = words.receive(sock)
    if message[:1] == words.PROVE:
        walls, tries = words.asked(message, fds)
        _prove(sock, walls, selftest.Tries(**tries))
    elif message[:1] == words.WALLS:
        walls = words.asked(message, fds)
        _confine(walls)
        words.send(sock, words.UP)
        init.serve(sock, walls[1], BoxedTier(sock))


class BoxedTier(init.FullTier):
    """An init that ends with its supervisor, and all that its command has started with it."""

    def begin(self) -> None:
        """Have the kernel tell when the other end of the socket is closed, by whatever."""
        fd = self._sock.fileno()
        _signal.signal(_SIGIO, lambda *_: self._end_without_supervisor())
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | fcntl.FASYNC)
        self._end_without_supervisor()

    def _end_without_supervisor(self) -> None:
        try:
            said = self._sock.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            os._exit(0)


def _prove(sock: _socket.socket, walls: Walls, tries: selftest.Tries) -> None:
    try:
        _confine(walls)
        said = selftest.try_to_escape(tries)
    except OSError as error:
        said = f"confining a command failed: {error.strerror}"
    words.send(sock, words.RESULT + said.encode("utf-8", "replace")[:4000])


def _confine(walls: Walls) -> None:
    abi.no_new_privileges()
    abi.lock_capabilities()
    abi.drop_capabilities()
    if abi.landlock_abi():
        devices = [f"/dev/{name}" for name in mounts.DEVICES] + ["/dev/ptmx"]
        writable = [*walls[0], "/dev/shm", "/dev/pts"]
        rules = landlock.ruleset(writable, devices, executable=walls[2])
        abi.landlock_restrict(rules)
        os.close(rules)
    elif walls[2] is not None:
        raise OSError(95, "Landlock is needed to say which programs can be executed")
    abi.die_with_parent(command.SIGKILL)
    abi.become_undumpable()
    abi.forbid_core_files()
