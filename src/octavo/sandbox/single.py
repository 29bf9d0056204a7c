"""One command in a cage of its own, between this process's stdin, stdout and stderr.

Pipes go into the cage as they are. Anything else stays outside, and what it says is copied through
a pipe: a file could be opened anew in there with more rights than were given. Where one of the
three is a terminal, the command gets a terminal of its own, and this process carries keys, output
and sizes between the two; so Ctrl-C, job control and full-screen programs work, and no command
holds a terminal on which a person types something else later.

There is no event loop: loading one would take longer than the cage. Only when the command asks for
a host is the network answered, by a thread that has one.
"""

from __future__ import annotations

import _socket
import os
import signal
import stat
from collections.abc import Callable, Mapping
from types import FrameType

from octavo.protocol.errors import SandboxError
from octavo.sandbox import Command, Exit, Network, Policy
from octavo.sandbox.cage import words
from octavo.sandbox.keeper import Keeper
from octavo.sandbox.ordered import Ordered
from octavo.sandbox.policy import resource_limits
from octavo.sandbox.pump import Way, wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.sandbox.net import Blocked
    from octavo.sandbox.network import CageNetwork
    from octavo.sandbox.terminal import Terminal

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_HEEDED = (signal.SIGINT, signal.SIGWINCH, signal.SIGCONT, *_ENDING)
_LOOK_AGAIN_S = 0.2
"""How soon a terminal that was in the background is looked at again."""
_CLOSE_S = 20.0
"""A keeper that has not cleared up by then never will."""
_STATUS_BYTES = 4
_TRIES = 4


def run_single(
    policy: Policy, command: Command, keeper: Keeper, *, on_blocked: Callable[[Blocked], None]
) -> Exit:
    """Run `command` in a cage for `policy`; return how it ended.

    SIGINT reaches the command; SIGTERM and SIGHUP end it and all it started, and are then what it
    ended by. Nothing of it, and nothing of the cage, is left when this returns or raises.

    Args:
        policy: a confined one.
        command: without `tty` and `stdio`, which are this process's.
        keeper: one that was started beforehand.
        on_blocked: told which hosts it wanted and did not get; from another thread.

    Raises:
        ConfigError: a pattern for hosts makes no sense; nothing was run.
        NotStarted: the program or the directory cannot be used.
        SandboxError: no sandbox works here.
    """
    network = _Network(policy.network, on_blocked)
    cage = _Cage(Ordered(policy, keeper=keeper))
    terminal = _terminal()
    wires = _Wires()
    try:
        cage.stand(network)
        size = None if terminal is None else terminal.size()
        started = cage.start(command, network.environment, size, wires.lay())
        wires.close_given()
        return _Attending(started, wires, terminal, network).until_it_ends()
    finally:
        wires.close()
        if terminal is not None:
            terminal.give_back()
        cage.close()


def _terminal() -> Terminal | None:
    if not any(map(os.isatty, (0, 1, 2))):
        return None
    from octavo.sandbox.terminal import Terminal

    return Terminal.of_this_process()


class _Network:
    """What the cage can reach: nothing is loaded for it before something is asked."""

    def __init__(self, policy: Network, on_blocked: Callable[[Blocked], None]) -> None:
        self._policy = policy
        self._on_blocked = on_blocked
        self._listeners: list[int] = []
        self._answers: CageNetwork | None = None
        self.environment: Mapping[str, str] = {}
        if self._policy.access == "hosts":
            self._answers = self._load()

    def _load(self) -> CageNetwork:
        from octavo.sandbox.network import CageNetwork

        return CageNetwork(self._policy, on_blocked=self._on_blocked)

    def begin(self, listeners: list[int]) -> None:
        """The cage stands, and these are its listeners."""
        self._listeners = listeners
        if self._answers is not None:
            self._answers.begin(listeners)
            self.environment = self._answers.environment

    def wants(self, poll: dict[int, int]) -> None:
        """Wait for the first question."""
        for fd in self._listeners:
            poll[fd] = 1

    def turn(self, ready: dict[int, int]) -> None:
        """Answer in a thread from the first question on; the process does not wait for it."""
        if not any(ready.get(fd) for fd in self._listeners):
            return
        import threading

        answers = self._answers
        if answers is None:
            answers = self._load()
            answers.begin(self._listeners)
        self._listeners = []
        threading.Thread(target=_answer, args=(answers,), daemon=True).start()


def _answer(network: CageNetwork) -> None:
    import anyio

    anyio.run(network.serve)


class _Started:
    """The command, as its owner sees it."""

    def __init__(
        self, init: _socket.socket, pidfd: int, terminal: int, *, kill_signal: int
    ) -> None:
        self.init = init
        self.pidfd = pidfd
        self.terminal = terminal
        """The master of its terminal; -1 without one."""
        self._kill_signal = kill_signal

    def send(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        self.send(self._kill_signal)


class _Cage:
    """The supervisor's end of a cage for one command."""

    def __init__(self, ordered: Ordered) -> None:
        self._ordered = ordered
        self._zygote = ordered.zygote
        self._tier = ""
        self._open: list[tuple[_socket.socket, int]] = []

    def stand(self, network: _Network) -> None:
        """Wait until the cage has proved itself."""
        message, fds = self._first_words()
        protected = words.paths(fds[:1])
        if not message.startswith(words.READY):
            from octavo.sandbox import refusal

            raise refusal.explain(message.removeprefix(words.FAILED))
        self._tier = message[1:].decode("utf-8", "replace").partition("\n")[0]
        outside = self._ordered.outside
        if outside is not None and self._tier in words.WITH_NAMESPACES:
            outside.begin(protected)
            for word, paths in zip((words.HIDE, words.HOLD), outside.news(), strict=True):
                if paths:
                    words.ask(self._zygote, word, paths)
        network.begin(fds[1:])

    def _first_words(self) -> tuple[bytes, list[int]]:
        while True:
            message, fds = words.receive(self._zygote)
            if not message.startswith(words.REFUSED):
                return message, fds

    def start(
        self,
        command: Command,
        environment: Mapping[str, str],
        size: tuple[int, int] | None,
        stdio: tuple[int | None, int | None, int | None],
    ) -> _Started:
        """Start the command with these pipes, and a terminal of this size for the others."""
        pipes = {number: fd for number, fd in enumerate(stdio) if fd is not None}
        limits = resource_limits(self._ordered.policy.limits, tier=self._tier)
        request = (
            *(list(command.argv), os.fspath(command.cwd), {**command.env, **environment}),
            *(size, tuple(pipes), limits),
        )
        init, pidfd = self._init()
        words.ask(init, words.RUN, request, tuple(pipes.values()))
        message, fds = words.receive(init)
        if not message.startswith(words.STARTED):
            from octavo.sandbox import refusal

            raise refusal.not_started(command, message)
        kill_signal = signal.SIGKILL if self._tier in words.WITH_NAMESPACES else signal.SIGTERM
        return _Started(init, pidfd, fds[0] if fds else -1, kill_signal=kill_signal)

    def _init(self) -> tuple[_socket.socket, int]:
        for _ in range(_TRIES):
            words.send(self._zygote, words.MORE)
            message, fds = words.receive(self._zygote)
            if not message.startswith(words.INIT) or len(fds) != 2:
                break
            init = _socket.socket(fileno=fds[0])
            self._open.append((init, fds[1]))
            # Bubblewrap raises the walls for each, and can fail.
            if self._tier != "bubblewrap" or words.receive(init)[0] == words.UP:
                return init, fds[1]
        raise SandboxError("The cage ended before the command could be started.")

    def close(self) -> None:
        """End everything in the cage and wait until nothing of it is left."""
        self._zygote.close()
        keeper = os.pidfd_open(self._ordered.keeper)
        if not wait({keeper: 1}, _CLOSE_S):
            signal.pidfd_send_signal(keeper, signal.SIGKILL)
        os.waitpid(self._ordered.keeper, 0)
        for init, pidfd in self._open:
            init.close()
            os.close(pidfd)


class _Attending:
    """What is done while the command runs."""

    def __init__(
        self, started: _Started, wires: _Wires, terminal: Terminal | None, network: _Network
    ) -> None:
        self._started = started
        self._terminal = terminal
        self._network = network
        self._told: int | None = None
        self._outward = [Way(reader, fd) for reader, fd in wires.outward]
        self._inward = wires.inward
        if terminal is not None:
            os.set_blocking(started.terminal, False)
            keys = Way(terminal.keys, started.terminal, may_read=terminal.is_ours)
            self._inward = [*self._inward, keys]
            self._outward.append(Way(started.terminal, terminal.screen, drains=True))

    def until_it_ends(self) -> Exit:
        """Carry everything until the command has ended and its output is out."""
        heard, tells = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        before = {number: signal.signal(number, _noted) for number in _HEEDED}
        wakes = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
        try:
            if self._terminal is not None:
                self._terminal.take()
            ended = self._carry(heard)
        finally:
            self._started.kill()
            signal.set_wakeup_fd(wakes)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(heard)
            os.close(tells)
        return Exit(signal=self._told) if self._told is not None else ended

    def _carry(self, heard: int) -> Exit:
        ended: Exit | None = None
        while ended is None or not all(way.over for way in self._outward):
            wanted = {heard: 1}
            ways = self._outward if ended is not None else [*self._outward, *self._inward]
            for way in ways:
                way.wants(wanted)
            if ended is None:
                wanted[self._started.init.fileno()] = 1
                self._network.wants(wanted)
            behind = self._terminal is not None and not self._terminal.is_ours()
            ready = wait(wanted, _LOOK_AGAIN_S if behind else None)
            if behind and self._terminal is not None:
                self._terminal.take()
            if ready.get(heard):
                self._heed(os.read(heard, 64))
            for way in ways:
                way.turn(ready)
            self._end_inward()
            self._network.turn(ready)
            if ended is None and ready.get(self._started.init.fileno()):
                ended = self._hear_the_end()
        return ended

    def _end_inward(self) -> None:
        """Tell the command that nothing more comes, once that is so."""
        for way in self._inward:
            if way.over and way.sink != self._started.terminal:
                _let_go(way.sink)
        self._inward = [way for way in self._inward if not way.over]

    def _hear_the_end(self) -> Exit:
        message, _ = words.receive(self._started.init)
        if message.startswith(words.ENDED):
            status = int.from_bytes(message[1 : 1 + _STATUS_BYTES], "little")
            code = os.waitstatus_to_exitcode(status)
            return Exit(code=code) if code >= 0 else Exit(signal=-code)
        wait({self._started.pidfd: 1}, None)
        return Exit(signal=signal.SIGKILL)

    def _heed(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGINT:
                self._interrupt()
            elif number in _ENDING:
                self._told = number
                self._started.kill()
            elif self._terminal is not None and number in _HEEDED:
                self._terminal.take()
                self._terminal.resize(self._started.terminal)

    def _interrupt(self) -> None:
        if self._started.terminal < 0:
            self._started.send(signal.SIGINT)
            return
        try:
            os.write(self._started.terminal, b"\x03")
        except OSError:
            return


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The number is read from the wakeup descriptor."""


class _Wires:
    """The pipes of one command, and what has to be copied to and from them."""

    def __init__(self) -> None:
        self._given: list[int] = []
        self._kept: list[int] = []
        self.inward: list[Way] = []
        """What stdin says has to be written there."""
        self.outward: list[tuple[int, int]] = []
        """(reader, descriptor): what comes from the one has to be written to the other."""

    def lay(self) -> tuple[int | None, int | None, int | None]:
        """Return what the command is to have; None is its terminal."""
        stdin, stdout = self._from_stdin(), self._to(1)
        if stdout is not None and os.path.sameopenfile(1, 2):
            return stdin, stdout, stdout
        return stdin, stdout, self._to(2)

    def _from_stdin(self) -> int | None:
        if os.isatty(0) or _is_pipe(0):
            return None if os.isatty(0) else 0
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(writer, False)
        self.inward.append(Way(0, writer))
        self._given.append(reader)
        self._kept.append(writer)
        return reader

    def _to(self, fd: int) -> int | None:
        if os.isatty(fd) or _is_pipe(fd):
            return None if os.isatty(fd) else fd
        reader, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        self._kept.append(reader)
        self._given.append(writer)
        self.outward.append((reader, fd))
        return writer

    def close_given(self) -> None:
        """Close the ends that the command has now, so that the others hear when it has ended."""
        while self._given:
            os.close(self._given.pop())

    def close(self) -> None:
        self.close_given()
        while self._kept:
            os.close(self._kept.pop())


def _is_pipe(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)


def _let_go(fd: int) -> None:
    """Leave the pipe at `fd`; its number stays taken until all are closed."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, fd, inheritable=False)
    os.close(null)
