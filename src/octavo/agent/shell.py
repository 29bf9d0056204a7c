"""A person's own command (`!make test`), which the model is told of afterwards.

It runs as in the person's own shell: outside of any cage, with all of their environment. It is
their word, not the model's, so nothing is asked; who may say it is who may connect to the server.
What it wrote is an output like any other when the model reads it: cut, without secrets, untrusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import PurePath

import anyio
import anyio.abc
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.wiring import DEFAULT_SHELL, TurnChoices, Wiring
from octavo.context.shell_record import shell_record
from octavo.protocol.errors import OctavoError, SandboxError
from octavo.protocol.events import (
    CallFacts,
    Noticed,
    Progress,
    ShellEnded,
    ShellStarted,
    TurnEnded,
    TurnStarted,
)
from octavo.protocol.ids import new_id
from octavo.sandbox import Command, Exit, Process
from octavo.store.kept import KeptOutput
from octavo.tools import progress as pace
from octavo.tools.capture import Capture
from octavo.tools.redact import redactor, secret_values
from octavo.tools.sessions import exit_code

DEFAULT_TIMEOUT_S = 3600.0
_SHELLS = frozenset(("bash", "zsh", "sh", "dash", "ksh", "fish"))


class ShellCommand(msgspec.Struct, frozen=True):
    """What a person wants to run."""

    script: str
    timeout_s: float = DEFAULT_TIMEOUT_S


class Shells:
    """A thread's commands of this kind. They end with the turn that a person interrupts."""

    def __init__(self, journal: Journal, wiring: Wiring) -> None:
        self._journal = journal
        self._wiring = wiring
        self._scopes: set[anyio.CancelScope] = set()

    def cancel(self) -> None:
        """Kill those that run beside a turn."""
        for scope in self._scopes:
            scope.cancel()

    def start(
        self,
        group: anyio.abc.TaskGroup,
        command: ShellCommand,
        turn: TurnStarted,
        choices: TurnChoices,
    ) -> None:
        """Run `command` beside the running turn."""
        group.start_soon(self._beside, command, turn.turn_id, choices)

    async def turn(self, command: ShellCommand, started: TurnStarted, choices: TurnChoices) -> None:
        """Run `command` in a turn of its own, which asks no model."""
        end = TurnEnded(started.turn_id, now_ms(), "completed")
        self._journal.emit(started)
        try:
            await self._run(command, started.turn_id, choices)
        except anyio.get_cancelled_exc_class():
            end = msgspec.structs.replace(end, outcome="interrupted")
            raise
        except OctavoError as failure:
            end = TurnEnded(started.turn_id, now_ms(), "failed", str(failure), "other")
        finally:
            self._journal.emit_last(msgspec.structs.replace(end, at_ms=now_ms()))

    async def _beside(self, command: ShellCommand, turn_id: str, choices: TurnChoices) -> None:
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await self._run(command, turn_id, choices)
            except OctavoError as failure:
                self._journal.emit_last(Noticed(now_ms(), str(failure), turn_id))
            finally:
                self._scopes.discard(scope)

    async def _run(self, command: ShellCommand, turn_id: str, choices: TurnChoices) -> None:
        journal, wiring, cwd = self._journal, self._wiring, choices.policy.cwd
        item_id = new_id()
        running = _Running(
            lambda text: journal.emit_last(Progress(turn_id, item_id, text)),
            lambda: wiring.keep_output(item_id),
            _redactor(wiring, choices),
            wiring.output_limit_tokens,
        )
        journal.emit(ShellStarted(item_id, turn_id, now_ms(), command.script, str(cwd)))
        try:
            await journal.sync()  # nothing confines it: what it does cannot be had back
            argv = (_shell(wiring.env), "-c", command.script)
            await running.see_through(
                Command(argv, cwd, {**wiring.env, "TERM": "dumb"}), command.timeout_s
            )
        finally:
            facts, end, output = running.result()
            record = msgspec.Raw(shell_record(command.script, end, output))
            labels = ("untrusted",) if output else ()
            journal.emit_last(ShellEnded(item_id, now_ms(), facts, record, labels))


class _Running:
    """One command, from its start to its end."""

    def __init__(
        self,
        show: Callable[[str], object],
        open_file: Callable[[], KeptOutput],
        redact: Callable[[str], str],
        limit_tokens: int,
    ) -> None:
        async def open_late() -> KeptOutput:
            return open_file()

        self._capture = Capture(open_late, limit_tokens)
        self._progress = pace.Progress(lambda text: void(show(redact(text))))
        self._redact = redact
        self._limit_tokens = limit_tokens
        self._exit: Exit | None = None
        self._why = "It was not started, as the turn was interrupted."
        self._gone = anyio.Event()
        self._began_s = time.monotonic()
        self._ended_s = self._began_s

    async def see_through(self, command: Command, timeout_s: float) -> None:
        """Run it to its end, and to nothing beyond: cancelled or out of time, it is killed."""
        from octavo.sandbox.uncaged import spawn_uncaged

        self._why = "It was ended before it was done, as the turn was interrupted."
        try:
            process = await spawn_uncaged(command)
        except SandboxError as failure:
            self._why = f"It could not be started: {failure}"
            return
        self._began_s = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, process)
            try:
                with anyio.move_on_after(timeout_s):
                    await self._gone.wait()
                if not self._gone.is_set():
                    self._why = f"It was ended after {timeout_s:g} s, the time it had."
            finally:
                with anyio.CancelScope(shield=True):
                    if self._gone.is_set():
                        self._why = ""
                    else:
                        await process.kill()
                        await self._gone.wait()

    async def _watch(self, process: Process) -> None:
        with anyio.CancelScope(shield=True):
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._drain, process, group)
                    self._exit = await process.wait()
            except* SandboxError as lost:
                self._why = f"octavo lost it: {lost.exceptions[0]}"
            self._progress.flush()
            await self._capture.close()
            self._ended_s = time.monotonic()
            self._gone.set()

    async def _drain(self, process: Process, group: anyio.abc.TaskGroup) -> None:
        while data := await process.read():
            await self._capture.feed(data)
            self._progress.show(data, group)
        self._progress.stop()

    def result(self) -> tuple[CallFacts, str, str]:
        """Return what it did, in words how it ended, and its output for the model."""
        window = self._capture.take(final=True)
        kept_in = None if window.fits(self._limit_tokens) else self._capture.where()
        took_s = self._ended_s - self._began_s
        code = None if self._exit is None else exit_code(self._exit)
        facts = CallFacts(code, round(took_s * 1000), output_path=self._capture.path)
        end = self._why or f"Exit code: {code}"
        output = self._redact(window.show(self._limit_tokens, kept_in))
        return facts, f"{end}\nDuration: {took_s:.1f} seconds", output


def void(_: object) -> None:
    """Take what is of no use."""


def _redactor(wiring: Wiring, choices: TurnChoices) -> Callable[[str], str]:
    secrets = list(secret_values(wiring.env))
    try:
        secrets += wiring.provider(choices).secrets()
    except OctavoError:  # there is no key that could be shown
        pass
    return redactor(secrets)


def _shell(env: Mapping[str, str]) -> str:
    shell = env.get("SHELL", DEFAULT_SHELL)
    return shell if PurePath(shell).name in _SHELLS else DEFAULT_SHELL
