"""Commands and file changes, confined.

`open_sandbox(policy)` gives a `Sandbox`: the only way out of the process for anything a model
asked for. Each mechanism is one file and is accepted only after a self-test that tries to escape;
when none works, `ready` raises and nothing ever runs unconfined. Only what a person chooses is not:
`Mode.DANGER_FULL_ACCESS`, and `Mode.EXTERNAL` where the machine itself is the sandbox.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from octavo.protocol.errors import SandboxError

if TYPE_CHECKING:
    from octavo.sandbox.caged import Caged
    from octavo.sandbox.keeper import Spare
    from octavo.sandbox.net import OnBlocked


class Mode(enum.StrEnum):
    """How far commands may reach; the words are Codex's."""

    READ_ONLY = "read-only"
    WORKSPACE_WRITE = "workspace-write"
    DANGER_FULL_ACCESS = "danger-full-access"
    EXTERNAL = "external"
    """The container or virtual machine that octavo runs in is the sandbox; octavo adds none."""

    @property
    def is_confined(self) -> bool:
        """Octavo itself confines commands."""
        return self not in (Mode.DANGER_FULL_ACCESS, Mode.EXTERNAL)


class Network(msgspec.Struct, frozen=True):
    """Whom commands may reach.

    Attributes:
        access: "off": nobody but servers that commands of the same cage started. "hosts": those in
            `allow`, through the proxy (`sandbox.net`). "open": everybody, as octavo itself does.
        allow: patterns of hosts, as in `net.rules`.
        deny: patterns that beat `allow`.
        allow_local: exact local names and addresses that are meant. Those that are 127.0.0.1 or
            localhost with a port are reached under the same port.
        reading_only: only GET, HEAD and OPTIONS, and nothing that cannot be read.
    """

    access: Literal["off", "hosts", "open"] = "off"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_local: tuple[str, ...] = ()
    reading_only: bool = False


OFF = Network()
OPEN = Network("open")


class Limits(msgspec.Struct, frozen=True):
    """The most that a command may use; None is as much as there is.

    Memory has no limit by default, because programs reserve far more than they use (sanitizers
    reserve terabytes). A command that takes too much is what the system ends first.
    """

    pids: int = 4096
    """Processes and threads at a time, of one command and all it started."""
    memory_bytes: int | None = None
    """Data that each process may have to itself."""
    file_size_bytes: int | None = 64 << 30
    """The largest file that can be written."""
    cpu_s: int | None = None
    """Processor time of each process."""
    open_files: int | None = 65_536
    """Open files of each process."""


class Policy(msgspec.Struct, frozen=True):
    """What a thread's commands may touch. Paths are absolute; missing roots are ignored."""

    mode: Mode
    cwd: Path
    writable_roots: tuple[Path, ...] = ()
    """Writable besides `cwd`; only with `WORKSPACE_WRITE`. A protected path that is itself one of
    them is writable."""
    write_cwd: bool = True
    """`cwd` itself is writable; only with `WORKSPACE_WRITE`."""
    network: Network = OFF
    write_tmp: bool = True
    """`/tmp` is writable."""
    write_tmpdir: bool = True
    """`$TMPDIR` is writable."""
    tmp: Literal["host", "private"] = "host"
    """"private": `/tmp` and `$TMPDIR` are the cage's own, empty at its start and gone with it,
    whatever the two above say. In `READ_ONLY` they always are, where the mechanism can do it."""
    deny_read: tuple[Path, ...] = ()
    """Masked besides the built-in list of secrets."""
    deny_globs: tuple[str, ...] = ()
    """Absolute patterns of what is masked as well; one after "!" is a path that is not. See
    `sandbox.globs`."""
    read_only: tuple[Path, ...] = ()
    """Not writable, although inside a writable root."""
    sockets: tuple[Path, ...] = ()
    """Unix sockets of the host that commands may connect to."""
    programs: tuple[Path, ...] | None = None
    """The only files and directories of files that can be executed; None is no such limit."""
    limits: Limits = Limits()
    """For each command; there are none where octavo does not confine."""


class Command(msgspec.Struct, frozen=True):
    """One program to start. `env` is the whole environment."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    tty: tuple[int, int] | None = None
    """Rows and columns of a terminal; None gives pipes, with stdin at its end."""
    stdio: tuple[int | None, int | None, int | None] = (None, None, None)
    """Pipes of the caller's to use as stdin, stdout and stderr instead. They stay the caller's to
    close, and what goes through them is not in `Process.read`."""
    line: int | None = None
    """A connected unix socket of the caller's that the command and its children have as 3. It stays
    the caller's to close. Whoever is at the other end answers what comes out of the sandbox."""


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: by itself with `code`, or by `signal`. Shells' 128+n is not used."""

    code: int | None = None
    signal: int | None = None


class NotStarted(SandboxError):
    """The program or its directory could not be used.

    Attributes:
        errno: why, as the system said it; 0 where it said nothing.
        is_program: it was the program, not the directory or the terminal.
    """

    code = "sandbox.start"

    def __init__(
        self, message: str, *, hint: str | None = None, errno: int, is_program: bool
    ) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno
        self.is_program = is_program


class Process(Protocol):
    """A started command. Its whole tree is gone once `wait` returned or `kill` was called."""

    async def read(self) -> bytes:
        """Return the next output, stdout and stderr merged, at most 256 KiB; b"" at the end."""

    async def write(self, data: bytes) -> None:
        """Type into the terminal. Raises SandboxError if there is none."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size."""

    def interrupt(self) -> None:
        """Deliver SIGINT to the command, as Ctrl-C does."""

    async def wait(self) -> Exit:
        """Wait for the command itself to end; what it left running is then killed."""

    async def kill(self) -> Exit:
        """Kill the whole tree and wait until it is gone."""


class FileState(msgspec.Struct, frozen=True):
    """What is at a path, as the policy shows it."""

    kind: Literal["file", "directory", "missing", "other", "unreadable"]
    data: bytes = b""
    """The content, when `kind` is "file"."""
    mode: int = 0
    """Permission bits."""
    real_path: Path = Path()
    """Where symbolic links lead."""
    reason: str = ""
    """Why, when `kind` is "unreadable": one plain sentence."""


class Write(msgspec.Struct, frozen=True, tag="write"):
    """Create `path`, or replace the content of the file it leads to; parents are made."""

    path: Path
    data: bytes
    mode: int | None = None
    """Permission bits; None keeps what is there, or 0o644 less the umask for a new file."""
    before: bytes | None = None
    """Content the file must still have; None: it must not exist, unless `overwrite`."""
    overwrite: bool = False


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Remove the file (or the symbolic link itself) at `path`."""

    path: Path
    before: bytes | None = None
    """Content the file must still have; None skips the check."""


FileChange = Write | Delete


class FileChangeRefused(SandboxError):
    """A batch could not be applied; every byte is as it was.

    Attributes:
        path: the path that was refused.
        reason: one of "outside" (not writable under the policy), "changed" (not what it was
            when it was read), "exists", "missing", "directory", "io".
    """

    code = "sandbox.files"

    def __init__(self, message: str, *, path: Path, reason: str) -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason


class Report(msgspec.Struct, frozen=True):
    """What confines this sandbox, for the person and the model."""

    tier: Literal["namespaces", "bubblewrap", "landlock", "external", "none"]
    gaps: tuple[str, ...] = ()
    """What this tier cannot stop or do, one sentence each; empty for the full tier."""
    refused: tuple[str, ...] = ()
    """Why each better tier does not work here: its name, the step and the errno, one line each."""


class Sandbox(Protocol):
    """The cage of one thread. Starting is in the background: only the first use waits for it."""

    @property
    def report(self) -> Report | None:
        """What `ready` returned; None before."""

    @property
    def failure(self) -> SandboxError | None:
        """What `ready` raised; None where it did not."""

    async def ready(self) -> Report:
        """Wait until the mechanism has proved itself.

        Raises:
            SandboxError: no mechanism works here; says the exact cause and the ways out.
        """

    async def spawn(self, command: Command) -> Process:
        """Start `command`, confined.

        Raises:
            NotStarted: `cwd` or the program does not exist, or may not be used.
            SandboxError: it could not be confined, or `stdio` has something else than pipes, or
                `line` is no unix socket.
        """

    def allow_hosts(self, *patterns: str) -> None:
        """Let commands, running ones too, reach these hosts as well; what is denied stays denied.

        Raises:
            ConfigError: a pattern makes no sense.
            SandboxError: the policy has no list of hosts, or it cannot be enforced here.
        """

    async def look(self, paths: Sequence[Path], *, limit_bytes: int = 64 << 20) -> list[FileState]:
        """Read files as a command under the policy would see them; larger ones are "unreadable"."""

    async def change(self, changes: Sequence[FileChange]) -> None:
        """Apply all changes or none, through symbolic links, within the writable roots.

        Raises:
            FileChangeRefused: nothing was changed.
        """

    async def tree(self, request: tuple[int, tuple[object, ...]]) -> tuple[bytes, list[int], bool]:
        """Have one request of `sandbox.trees` done; what is told, and whether it was."""


@asynccontextmanager
async def open_sandbox(
    policy: Policy,
    *,
    spare: Spare | None = None,
    on_blocked: OnBlocked | None = None,
    warm: int | None = None,
) -> AsyncIterator[Caged]:
    """Start the cage for `policy`; everything in it is gone when the context ends.

    Returns at once; what starts beside it costs the caller nothing until the first use.

    Args:
        spare: a process for the cage that was started beforehand, if nobody took it yet.
        on_blocked: told which hosts commands wanted and did not get; floods are cut short.
        warm: how many processes are kept ready for commands; None: as many as one thread needs.

    Raises:
        ConfigError: a pattern for hosts makes no sense; nothing was started.
    """
    from octavo.sandbox.caged import WARM, open_cage
    from octavo.sandbox.network import CageNetwork
    from octavo.sandbox.policy import TIERS, UNCONFINED

    tiers = TIERS if policy.mode.is_confined else UNCONFINED
    network = CageNetwork(policy.network, on_blocked=on_blocked)
    keeper = None if spare is None else spare.take()
    warm = WARM if warm is None else warm
    async with open_cage(policy, tiers, warm=warm, keeper=keeper, network=network) as cage:
        yield cage
