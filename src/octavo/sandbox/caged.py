"""The supervisor's end of a cage: starts its zygote, keeps inits ready, hands out requests."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio

from octavo.protocol.errors import SandboxError
from octavo.sandbox import (
    Command,
    FileChange,
    FileState,
    Mode,
    Policy,
    Process,
    Report,
)
from octavo.sandbox.cage import words
from octavo.sandbox.keeper import Forked, Keeper
from octavo.sandbox.network import CageNetwork
from octavo.sandbox.ordered import Ordered
from octavo.sandbox.policy import TIERS, Limit, not_given, resource_limits
from octavo.sandbox.process import CagedProcess, Output, output_pipe

WARM = 3
"""Inits kept ready. One costs about 0.6 MB of its own."""
LINE_FD = 3
_CLOSE_S = 20.0
"""A keeper that has not cleared up by then never will."""

_TIERS: dict[str, Literal["namespaces", "bubblewrap", "landlock", "none"]] = {
    "namespaces": "namespaces",
    "bubblewrap": "bubblewrap",
    "landlock": "landlock",
    "none": "none",
}

Init = tuple[socket.socket, int]
"""A ready init: its socket and its pidfd."""


@asynccontextmanager
async def open_cage(
    policy: Policy,
    tiers: Sequence[str] = TIERS,
    *,
    warm: int = WARM,
    keeper: Keeper | Forked | None = None,
    ordered: Ordered | None = None,
    network: CageNetwork | None = None,
) -> AsyncIterator[Caged]:
    """Start a cage of the first of `tiers` that proves itself.

    A task of it answers the cage's network, so it is left by whoever has entered it, in turn.

    Args:
        policy: what commands may touch.
        tiers: the mechanisms to try, best first.
        warm: how many processes are kept ready for commands.
        keeper: one that was started beforehand.
        ordered: one that was told the policy and tiers, too.
        network: what answers it, if not what the policy says and tells nobody.

    Raises:
        ConfigError: a pattern for hosts makes no sense; nothing was started.
    """
    network = network or CageNetwork(policy.network)
    cage = Caged(ordered or Ordered(policy, tiers, keeper), warm=warm, network=network)
    failure: BaseException | None = None
    async with anyio.create_task_group() as group:
        if network.wanted:
            group.start_soon(network.serve)
        try:
            yield cage
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # noqa: BLE001  # raised below, as itself, not as a group
            failure = error
        finally:
            with anyio.CancelScope(shield=True):
                await cage.close()
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Caged:
    """A cage for commands and files. Implements `sandbox.Sandbox`."""

    def __init__(
        self, ordered: Ordered, *, warm: int = WARM, network: CageNetwork | None = None
    ) -> None:
        self._warm = warm
        self._network = network
        self._pool: deque[Init] = deque()
        self._closed = False
        self._stale = 0
        """Of those, how many are to be thrown away: they were made before a mask."""
        self._outside = ordered.outside
        self._asked = 0
        """Inits asked for and not yet here."""
        self._running: set[CagedProcess] = set()
        self._report: Report | None = None
        self._failure: SandboxError | None = None
        self._policy = ordered.policy
        self._limits: tuple[Limit, ...] = ()
        self._starting = anyio.Lock(fast_acquire=True)
        self._taking = anyio.Lock(fast_acquire=True)
        self._zygote, self._keeper, self._pidfd = ordered.zygote, ordered.keeper, ordered.pidfd

    @property
    def report(self) -> Report | None:
        """What confines, as soon as that is known."""
        return self._report

    @property
    def failure(self) -> SandboxError | None:
        """Why nothing can run in it, once that is known."""
        return self._failure

    @property
    def is_busy(self) -> bool:
        """Whether a command of it lives."""
        return bool(self._running)

    async def ready(self) -> Report:
        if self._report is not None and self._failure is None:
            return self._report
        async with self._starting:
            if self._failure is not None:
                raise self._failure
            if self._report is None:
                message, fds, refused = await self._first_words()
                protected = words.paths(fds[:1])
                if not message.startswith(words.READY):
                    from octavo.sandbox import refusal

                    self._failure = refusal.explain(message.removeprefix(words.FAILED))
                    raise self._failure
                tier, *gaps = message[1:].decode("utf-8", "replace").split("\n")
                if tier not in words.WITH_NAMESPACES:
                    self._outside = None
                elif self._outside is not None:
                    self._outside.begin(protected)
                if self._network is not None:
                    self._network.begin(fds[1:])
                self._limits = resource_limits(self._policy.limits, tier=tier)
                gaps += not_given(self._policy, tier=tier)
                self._report = Report(
                    tier="external" if self._policy.mode is Mode.EXTERNAL else _TIERS[tier],
                    gaps=tuple(filter(None, gaps)),
                    refused=refused,
                )
                self._refill()
        return self._report

    async def _first_words(self) -> tuple[bytes, list[int], tuple[str, ...]]:
        """Return what the keeper says in the end, and why better mechanisms do not hold."""
        refused: list[str] = []
        while True:
            await anyio.wait_readable(self._zygote)
            message, fds = words.receive(self._zygote)
            if not message.startswith(words.REFUSED):
                return message, fds, tuple(refused)
            from octavo.sandbox import refusal

            refused += refusal.steps(message.removeprefix(words.REFUSED))

    async def spawn(self, command: Command) -> Process:
        report = await self.ready()
        pipes = _pipes_of(command)
        output, writer = None, -1
        if command.tty is None and len(pipes.keys() & {1, 2}) < 2:
            output, writer = output_pipe()
            pipes = {1: writer, 2: writer} | pipes
        env = dict(command.env)
        if self._network is not None:
            self._network.command_begins()
            env |= self._network.environment
        request = (
            *(list(command.argv), os.fspath(command.cwd), env),
            *(command.tty, tuple(pipes), self._limits),
        )
        try:
            init, pidfd = await self._request(words.RUN, request, tuple(pipes.values()))
        finally:
            if writer >= 0:
                os.close(writer)
        kill_signal = _kill_signal(report)
        try:
            message, got = await _answer(init, pidfd, kill_signal)
        except BaseException:
            _discard((init, pidfd))
            raise
        if not message.startswith(words.STARTED):
            from octavo.sandbox import refusal

            _discard((init, pidfd))
            raise refusal.not_started(command, message)
        if output is None:
            output = Output(got[0] if got else -1, is_terminal=bool(got))
        process = CagedProcess(
            init=init, pidfd=pidfd, output=output, kill_signal=kill_signal, on_end=self._ended
        )
        self._running.add(process)
        return process

    def allow_hosts(self, *patterns: str) -> None:
        if self._network is None:
            raise SandboxError("Commands that are not confined reach every host.")
        self._network.allow(patterns)

    async def look(self, paths: Sequence[Path], *, limit_bytes: int = 64 << 20) -> list[FileState]:
        if not paths:
            return []
        from octavo.sandbox import filework  # off the way to the first request

        request = ([os.fspath(path) for path in paths], limit_bytes)
        message, fds = await self._do(words.LOOK, request)
        if not message.startswith(words.RESULT) or not fds:
            raise SandboxError("The files could not be read: the process that reads them ended.")
        try:
            return filework.read_states(fds[0], len(paths))
        finally:
            os.close(fds[0])

    async def change(self, changes: Sequence[FileChange]) -> None:
        if not changes:
            return
        from octavo.sandbox import filework

        request = [filework.plain(change) for change in changes]
        with anyio.CancelScope(shield=True):
            message, _ = await self._do(words.CHANGE, request)
        if not message.startswith(words.RESULT):
            raise SandboxError("The change was cut short: the process that makes it ended.")
        if len(message) > 1:
            raise filework.refused(message[1:], changes)

    async def tree(self, request: tuple[int, tuple[object, ...]]) -> tuple[bytes, list[int], bool]:
        message, fds = await self._do(words.TREE, request)
        if message[:1] not in (words.RESULT, words.REFUSED_TREE):
            raise SandboxError("It was not done: the process in the cage that does it ended.")
        return message[1:], fds, message.startswith(words.RESULT)

    async def _do(self, word: bytes, request: object) -> tuple[bytes, list[int]]:
        report = await self.ready()
        init, pidfd = await self._request(word, request)
        try:
            return await _answer(init, pidfd, _kill_signal(report))
        finally:
            _discard((init, pidfd))
            self._refill()

    async def _request(self, word: bytes, request: object, fds: tuple[int, ...] = ()) -> Init:
        """Send a request to a fresh init; one that died while waiting is passed over."""
        for _ in range(WARM + 1):
            init, pidfd = await self._take()
            if not await self._is_up(init):
                _discard((init, pidfd))
                continue
            try:
                words.ask(init, word, request, fds)
            except (BrokenPipeError, ConnectionResetError):
                _discard((init, pidfd))
                continue
            return init, pidfd
        raise SandboxError("The cage lost every process it had ready.")

    async def _is_up(self, init: socket.socket) -> bool:
        """Whether the walls of an init stand: bubblewrap raises them for each, and can fail.

        What the host removes meanwhile, a socket for one, cannot be masked.
        """
        if self._report is None or self._report.tier != "bubblewrap":
            return True
        await anyio.wait_readable(init)
        return words.receive(init)[0] == words.UP

    async def _take(self) -> Init:
        await self.ready()
        async with self._taking:
            self._keep_up()
            self._collect()
            while not self._pool:
                if self._asked == self._stale:
                    self._ask(1)
                await anyio.wait_readable(self._zygote)
                self._collect()
            return self._pool.popleft()

    def _keep_up(self) -> None:
        """Hide and hold what the host has put there anew; inits made before that are not used."""
        if self._outside is None:
            return
        hide, hold = self._outside.news()
        for word, paths in ((words.HIDE, hide), (words.HOLD, hold)):
            if paths:
                words.ask(self._zygote, word, paths)
        if hide or hold:
            self._stale = self._asked
            while self._pool:
                _discard(self._pool.popleft())

    def _collect(self) -> None:
        """Put what the zygote has made into the pool."""
        while self._asked:
            try:
                message, fds = words.receive(self._zygote, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if not message.startswith(words.INIT) or len(fds) != 2:
                self._failure = SandboxError("The cage has ended; no command can be run in it.")
                raise self._failure
            self._asked -= 1
            init = socket.socket(fileno=fds[0]), fds[1]
            if self._stale:
                self._stale -= 1
                _discard(init)
            else:
                self._pool.append(init)

    def _ask(self, count: int) -> None:
        try:
            words.send(self._zygote, words.MORE * count)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EBADF):
                raise
        else:
            self._asked += count

    def _refill(self) -> None:
        missing = self._warm - len(self._pool) - self._asked
        if missing > 0:
            self._ask(missing)

    def _ended(self, process: CagedProcess) -> None:
        self._running.discard(process)
        self._refill()

    async def close(self) -> None:
        """End everything in the cage and wait until nothing of it is left."""
        if self._closed:
            return
        self._closed = True
        anyio.notify_closing(self._zygote)
        self._zygote.close()
        while self._pool:
            _discard(self._pool.popleft())
        pidfd = os.pidfd_open(self._keeper) if self._pidfd is None else self._pidfd
        try:
            with anyio.move_on_after(_CLOSE_S) as waiting:
                await anyio.wait_readable(pidfd)
            if waiting.cancelled_caught:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                await anyio.wait_readable(pidfd)
        finally:
            os.close(pidfd)
        if self._pidfd is None:
            os.waitpid(self._keeper, os.WNOHANG)  # noqa: ASYNC222  # it has ended: see above
        for process in list(self._running):
            await process.wait()


def _pipes_of(command: Command) -> dict[int, int]:
    """Return the caller's pipes by the number they shall have.

    A file or a device could be opened anew in there, with more rights than were given; a
    directory leads out; a terminal can be read behind its owner's back.
    """
    pipes = {number: fd for number, fd in enumerate(command.stdio) if fd is not None}
    if not all(stat.S_ISFIFO(os.fstat(fd).st_mode) for fd in pipes.values()):
        raise SandboxError("Only pipes can be handed into the sandbox.")
    if command.line is not None:
        if not _is_line(command.line):
            raise SandboxError("Only a connected unix socket can be a line out of the sandbox.")
        pipes[LINE_FD] = command.line
    return pipes


def _is_line(fd: int) -> bool:
    """Whether it is one end of a connection: what is not could be sent to any path later."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return False
    with socket.socket(fileno=os.dup(fd)) as sock:
        try:
            sock.getpeername()
        except OSError:
            return False
        kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET)
        return sock.family == socket.AF_UNIX and sock.type in kinds


def _discard(init: Init) -> None:
    init[0].close()
    os.close(init[1])


def _kill_signal(report: Report) -> signal.Signals:
    """What ends an init and all that it holds: without namespaces its guard has to do it."""
    return signal.SIGKILL if report.tier in words.WITH_NAMESPACES else signal.SIGTERM


async def _answer(
    init: socket.socket, pidfd: int, kill_signal: signal.Signals
) -> tuple[bytes, list[int]]:
    """Wait for an init's first word; a caller that stops waiting has all of it killed."""
    try:
        await anyio.wait_readable(init)
    except BaseException:
        try:
            signal.pidfd_send_signal(pidfd, kill_signal)
        except ProcessLookupError:
            pass
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await anyio.wait_readable(pidfd)
        raise
    return words.receive(init)
