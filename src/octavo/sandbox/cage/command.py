"""One command: started, waited for, and nothing of it left.

Runs in an init that is already confined. SIGINT to the init, which only the supervisor and the
command itself can send, becomes a SIGINT to the command's foreground group.
"""

from __future__ import annotations

import fcntl
import os

from . import words

SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ = 1, 2, 3, 9, 13, 15, 17, 25
DEFAULTED = (SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD, SIGXFSZ)
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_TIOCSPTLCK, _TIOCGPTN, _TIOCSWINSZ = 0x40045431, 0x80045430, 0x5414


class NotStarted(Exception):
    """The command could not be started; `step` is one of the words' steps."""

    def __init__(self, step: int, error: OSError) -> None:
        super().__init__(step, error)
        self.step = step
        self.errno = error.errno or 0


class Terminal:
    """A new pseudoterminal: its master, and the path of its slave."""

    def __init__(self) -> None:
        self.master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(self.master, _TIOCSPTLCK, bytes(4))
        index = int.from_bytes(fcntl.ioctl(self.master, _TIOCGPTN, bytes(4)), "little")
        self.slave = f"/dev/pts/{index}"

    def resize(self, rows: int, columns: int) -> None:
        size = rows.to_bytes(2, "little") + columns.to_bytes(2, "little") + bytes(4)
        fcntl.ioctl(self.master, _TIOCSWINSZ, size)


def start(
    argv: list[str],
    cwd: str,
    env: dict[str, str],
    *,
    given: list[tuple[int, int]],
    terminal: Terminal | None,
) -> int:
    """Start the command as leader of its own session and return its pid.

    Args:
        argv: the program and its arguments.
        cwd: its working directory.
        env: its whole environment.
        given: (number, descriptor) of what it shall have as stdin, stdout or stderr.
        terminal: what it has there otherwise, and as its controlling terminal.

    Raises:
        NotStarted: the directory or the program is not there, or may not be used.
    """
    try:
        os.chdir(cwd)
    except OSError as error:
        raise NotStarted(words.STEP_CWD, error) from None
    if terminal is None:
        first = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
    else:
        first = (os.POSIX_SPAWN_OPEN, 0, terminal.slave, os.O_RDWR, 0)
    rest = [(os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    rest += [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in given]
    try:
        return os.posix_spawn(
            _program(argv[0], env),
            argv,
            env,
            file_actions=[first, *rest],
            setsid=True,
            setsigdef=DEFAULTED,
            setsigmask=[],
        )
    except OSError as error:
        raise NotStarted(words.STEP_PROGRAM, error) from None


def _program(name: str, env: dict[str, str]) -> str:
    """Find `name` as a shell would."""
    if "/" in name:
        return name
    for directory in env.get("PATH", _DEFAULT_PATH).split(":"):
        path = os.path.join(directory or ".", name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return name


def interrupt(pid: int) -> None:
    """Send SIGINT to the command's group, as a terminal does for Ctrl-C."""
    try:
        os.killpg(pid, SIGINT)
    except OSError:
        return


def kill_everyone_else() -> None:
    """Kill and reap every process of this pid namespace but this one, its first."""
    while True:
        try:
            os.kill(-1, SIGKILL)
        except ProcessLookupError:
            pass
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            return


def wait_for(pid: int) -> int:
    """Return the wait status of `pid`, reaping orphans meanwhile."""
    while True:
        child, status = os.waitpid(-1, 0)
        if child == pid:
            return status
