"""A process made beforehand and used once, for one command or one file operation.

It is confined before it hears what it is for, and then either holds a command or reads and
changes files itself, so that both meet the same kernel policy. In the full tier it is the first
process of its own pid namespace: when it ends, the kernel ends whatever its command had started.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports enum: a third of the start
import _socket
import marshal
import os

from . import abi, command, files, mounts, words

Limits = tuple[tuple[int, int, int], ...]
Size = tuple[int, int]
Request = tuple[list[str], str, dict[str, str], Size | None, tuple[int, ...], Limits]
"""argv, cwd, env, the rows and columns of a terminal, as what each descriptor is to be used, and
limits: resource, soft, hard."""

_REHEARSAL = words.RUN + marshal.dumps((["a"], "/", {f"NAME{n}": "value" for n in range(30)}))
"""Read while nobody waits, as the limits are set once before: memory shared with the zygote is
copied when it is first written to, and that takes longer than the reading."""


class Walls:
    """What every init of a cage is confined by, made once."""

    def __init__(
        self, *, filter_program: bytes, ruleset: int | None, processes: int | None, brokered: bool
    ) -> None:
        self.filter_program = filter_program
        self.ruleset = ruleset
        self.processes = processes
        self.brokered = brokered
        """Connections are asked about."""


class Tier:
    """What differs between tiers in how an init holds its command."""

    held: Sequence[str] = ()
    """Paths in writable trees that files may not be changed at, where the kernel lets them."""

    def terminal(self) -> command.Terminal:
        """Return a terminal that the command may open."""
        return command.Terminal()

    def begin(self) -> None:
        """Called before a command is started."""

    def end(self, status: int) -> None:
        """Called when the command has ended. Nothing it left may live when this is told on."""
        raise NotImplementedError


class FullTier(Tier):
    """An init that is the first process of its own pid namespace."""

    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def end(self, status: int) -> None:
        command.kill_everyone_else()
        words.send(self._sock, words.ENDED + status.to_bytes(4, "little"))


def confine(walls: Walls) -> None:
    """Give this process, first of a new pid namespace, everything that is the same for all."""
    abi.unshare(abi.CLONE_NEWNS, "mount namespace of a command")
    mounts.mount_proc(processes=walls.processes)
    abi.no_new_privileges()
    abi.drop_capabilities()
    if walls.ruleset is not None:
        abi.landlock_restrict(walls.ruleset)
        os.close(walls.ruleset)
    abi.die_with_parent(command.SIGKILL)
    abi.become_undumpable()
    abi.forbid_core_files()
    abi.load_filter(walls.filter_program)


def serve(sock: _socket.socket, roots: list[str], tier: Tier) -> None:
    """Do the one thing this process is for."""
    words.asked(_REHEARSAL, [])
    message, fds = words.receive(sock)
    word = message[:1]
    if word == words.RUN:
        request: Request = words.asked(message, fds)
        _run(sock, request, fds, tier)
    elif word == words.LOOK:
        paths, limit_bytes = words.asked(message, fds)
        found = os.memfd_create("octavo", os.MFD_CLOEXEC)
        files.look(paths, limit_bytes, found)
        words.send(sock, words.RESULT, (found,))
    elif word == words.CHANGE:
        try:
            files.change(words.asked(message, fds), roots=roots, held=tier.held)
            refusal = b""
        except files.Refused as refused:
            refusal = refused.encode()
        words.send(sock, words.RESULT + refusal)
    elif word == words.TREE:
        _tree(sock, words.asked(message, fds), roots, tier)


def _tree(
    sock: _socket.socket, request: tuple[int, tuple[object, ...]], roots: list[str], tier: Tier
) -> None:
    from . import trees  # only a client's own requests come here: no cage waits for it at its start

    verb, arguments = request
    try:
        told, found = trees.do(verb, arguments, roots=roots, held=tier.held)
    except files.Refused as refused:
        words.send(sock, words.REFUSED_TREE + refused.encode())
    else:
        words.send(sock, words.RESULT + told, found)


def _run(sock: _socket.socket, request: Request, fds: list[int], tier: Tier) -> None:
    argv, cwd, env, tty, numbers, limits = request
    try:
        terminal = None if tty is None else _terminal(tier, tty)
        tier.begin()
        for which, soft, hard in limits:
            abi.limit(which, soft, hard)
        given = list(zip(numbers, fds, strict=True))
        pid = command.start(argv, cwd, env, given=given, terminal=terminal)
    except command.NotStarted as failure:
        failed = words.NOT_STARTED + bytes((failure.step,)) + failure.errno.to_bytes(2, "little")
        words.send(sock, failed)
        return
    _signal.signal(command.SIGINT, lambda *_: command.interrupt(pid))
    for fd in set(fds):
        os.close(fd)
    words.send(sock, words.STARTED, () if terminal is None else (terminal.master,))
    if terminal is not None:
        os.close(terminal.master)
    status = command.wait_for(pid)
    _signal.signal(command.SIGINT, _signal.SIG_IGN)
    tier.end(status)


def _terminal(tier: Tier, size: tuple[int, int]) -> command.Terminal:
    try:
        terminal = tier.terminal()
        terminal.resize(*size)
    except OSError as error:
        raise command.NotStarted(words.STEP_TERMINAL, error) from None
    return terminal


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
