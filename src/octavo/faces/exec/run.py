"""The flow of `octavo exec`: open a thread, give it one turn, show it, end as it ended.

Whatever happens — a failing turn, SIGINT, SIGTERM, a reader that goes away — the last line says
how the turn ended and nothing is left running.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
import msgspec

from octavo import __version__
from octavo.client import Client, connect
from octavo.faces.exec.commands import plain
from octavo.faces.exec.json_events import JsonEvent, JsonEvents
from octavo.faces.exec.options import Options
from octavo.faces.exec.prompt import inputs, output_schema
from octavo.faces.exec.transcript import BUDGET, Transcript
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import OctavoError, StoreError, UsageError
from octavo.protocol.inputs import UserInput
from octavo.rpc import NO_METHOD, Link, LinkClosed, RpcError

OK, FAILED, USAGE, OVER_BUDGET, PIPE_CLOSED = 0, 1, 2, 3, 141
USAGE_CODES = ("usage", "config")
SPIN_EVERY_S = 0.1


class Refused(OctavoError):
    """The server would not do what was asked; the message is its own."""

    def __init__(self, error: RpcError) -> None:
        super().__init__(error.message)
        data = error.data if isinstance(error.data, dict) else {}
        self.is_usage = data.get("code") in USAGE_CODES


class Run:
    """One run. `over` it once.

    Attributes:
        failure: why no turn could begin or be followed, if so.
    """

    def __init__(self, options: Options, transcript: Transcript) -> None:
        self._options = options
        self._transcript = transcript
        self._json = JsonEvents() if options.json else None
        self._client: Client | None = None
        self._thread_id = ""
        self._turn_id: str | None = None
        self._signal: int | None = None
        self._work = anyio.CancelScope()
        self._message: str | None = None
        self._status = "failed"
        self._nobody_reads = False
        self._told_end = False
        self._runs_nothing = False
        self._over_budget = False
        self._has_goal = False
        self.failure: OctavoError | None = None

    async def over(self, link: Link) -> int:
        """Run over a connection to a server; return the exit code."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._heed_signals)
            group.start_soon(self._heed_reader)
            if self._json is None:
                group.start_soon(self._spin)
            with self._work:
                await self._run(link)
            link.close()
            group.cancel_scope.cancel()
        self._transcript.stop()
        if self._work.cancelled_caught:
            self.fail(OctavoError("Interrupted before the turn began."))
        return self._exit_code()

    async def _run(self, link: Link) -> None:
        try:
            _check_output_file(self._options)
            schema = output_schema(self._options.output_schema)
            asked = await inputs(self._options)
        except OctavoError as failure:
            self.fail(failure)
            return
        async with connect(link, name="octavo_exec", version=__version__, answer=_refuse) as client:
            self._client = client
            try:
                await self._turn(client, asked, schema)
            except RpcError as error:
                self.fail(Refused(error))
            except OctavoError as failure:
                self.fail(failure)
            except LinkClosed:
                self.fail(StoreError("The server went away.", hint="Resume the thread."))

    async def _turn(
        self, client: Client, asked: tuple[UserInput, ...], schema: dict[str, Any] | None
    ) -> None:
        thread = await self._open(client)
        self._thread_id = thread.thread.id
        turn_id = None
        if asked:
            turn = await client.start_turn(
                m.TurnStartParams(self._thread_id, asked, output_schema=schema)
            )
            turn_id = self._turn_id = turn.id
        if self._options.goal is not None:
            await self._set_goal(client, self._options.goal)
        self._print(None if self._json is None else self._json.thread_started(self._thread_id))
        if self._json is None:
            self._transcript.began(thread)
        async with aclosing(client.notifications()) as notifications:
            if self._options.goal is not None:
                await self._follow_goal(client, notifications)
                return
            async for notification in notifications:
                if not isinstance(notification, note.TurnCompleted):
                    self._show(notification)
                elif notification.turn.id == turn_id:
                    await self._finish(client, notification)
                    return
        raise LinkClosed

    async def _set_goal(self, client: Client, objective: str) -> None:
        from octavo.protocol.goals import GOAL_SET, GoalSetParams  # few runs have one

        tokens = self._options.goal_tokens
        budget = msgspec.UNSET if tokens is None else tokens
        await client.call(GOAL_SET, GoalSetParams(self._thread_id, objective, "active", budget))
        self._has_goal = True

    async def _follow_goal(
        self, client: Client, notifications: AsyncGenerator[note.Notification, None]
    ) -> None:
        """Show turn after turn until the goal is not active any more and none runs."""
        ended: note.TurnCompleted | None = None
        async for notification in notifications:
            match notification:
                case note.TurnCompleted():
                    ended = notification  # shown when it is known whether it was the last
                case note.GoalUpdated(turn_id=None, goal=goal) if (
                    goal.status != "active" and ended is not None
                ):
                    await self._finish(client, ended)
                    self._end_goal(goal)
                    return
                case note.TurnStarted():
                    if ended is not None:
                        self._show(ended)
                    ended = None
                    self._turn_id = notification.turn.id
                    self._show(notification)
                    if self._signal is not None:  # it was meant for the one before
                        await self._interrupt(client, notification.turn.id)
                case _:
                    self._show(notification)
        raise LinkClosed

    def _end_goal(self, goal: note.ThreadGoal) -> None:
        self._over_budget = self._over_budget or goal.status == "budgetLimited"
        if goal.status != "complete" and self._status == "completed":
            self._status = "interrupted" if goal.status == "paused" else "failed"
        if self._json is None:
            self._transcript.goal_ended(goal, resumable=not self._options.ephemeral)
        else:
            self._print(self._json.goal_ended(goal))

    async def _open(self, client: Client) -> m.ThreadResult:
        options = self._options
        thread_id = options.resume
        if options.resume_last:
            cwd = None if options.resume_all else str(options.cwd)
            page = await client.call(
                m.THREAD_LIST, m.ThreadListParams(1, cwd, sort_key="updated_at")
            )
            if not page.data:
                raise _nothing_to_resume(cwd)
            thread_id = page.data[0].id
        if thread_id is not None:
            return await client.resume_thread(
                m.ThreadResumeParams(thread_id, cwd=str(options.cwd), exclude_turns=True)
            )
        return await client.start_thread(
            m.ThreadStartParams(cwd=str(options.cwd), ephemeral=options.ephemeral)
        )

    async def _finish(self, client: Client, completed: note.TurnCompleted) -> None:
        """End what the turn left running, so that its items are closed, then say how it ended."""
        await client.clean_terminals(self._thread_id)
        for notification in client.waiting():
            self._show(notification)
        self._status = completed.turn.status
        error = completed.turn.error
        self._over_budget = error is not None and error.codex_error_info == BUDGET
        spending = await client.call(m.THREAD_USAGE, m.ThreadIdParams(self._thread_id))
        self._transcript.spent(spending)
        if self._json is not None:
            self._json.spent(spending)
        self._told_end = True
        if self._status == "completed":
            self._write_message()
        if self._runs_nothing and self.failure is None:
            self.failure = OctavoError(
                "No command could run, because no sandbox works here.",
                hint="What was answered has not been tried. `octavo doctor` says what is missing.",
            )
        self._show(completed)
        if self._over_budget and not self._options.ephemeral and self._json is None:
            self._transcript.how_to_go_on(spending)

    def _show(self, notification: note.Notification) -> None:
        match notification:
            case note.ItemCompleted(item=it.AgentMessage() as message):
                self._message = message.text
            case note.Warned(octavo_code="sandbox.none"):
                self._runs_nothing = True
            case _:
                pass
        if self._json is None:
            self._transcript(notification)
            return
        for event in self._json(notification):
            self._print(event)

    def _write_message(self) -> None:
        """The last message to stdout, for people, and to the file of -o, verbatim.

        On a terminal it cannot do anything but be read.
        """
        if self._message is None:
            self._transcript.no_answer()
            return
        data = self._message.encode("utf-8", "replace")
        if self._json is None:
            self._transcript.before_answer()
            shown = plain(self._message).encode("utf-8", "replace") if os.isatty(1) else data
            self._write(shown if shown.endswith(b"\n") else shown + b"\n")
        file = self._options.output_file
        if file is not None:
            try:
                file.write_bytes(data)
            except OSError as error:
                self.failure = StoreError(
                    f"The last message was not written to {file}: {error.strerror}.",
                    hint="Resume the thread and ask for it again, with another file.",
                )

    def fail(self, failure: OctavoError) -> None:
        """End because of `failure`; told once, unless the turn's own end was."""
        self.failure = failure
        if not self._told_end:
            self._told_end = True
            self._print(None if self._json is None else self._json.failed(str(failure)))

    def _exit_code(self) -> int:
        if self._nobody_reads:
            return PIPE_CLOSED
        if self._signal is not None and self._status != "completed":
            return 128 + self._signal
        if isinstance(self.failure, UsageError):
            return USAGE
        if isinstance(self.failure, Refused) and self.failure.is_usage:
            return USAGE
        if self.failure is not None:
            return FAILED
        if self._over_budget:
            return OVER_BUDGET
        return OK if self._status == "completed" else FAILED

    def _print(self, event: JsonEvent | None) -> None:
        if event is not None:
            self._write(msgspec.json.encode(event) + b"\n")

    def _write(self, data: bytes) -> None:
        """Write to stdout, whole. A reader that went away ends the run like a signal would."""
        view = memoryview(data)
        while view and not self._nobody_reads:
            try:
                view = view[os.write(1, view) :]
            except BlockingIOError:  # the reader shares it, and wants never to wait
                select.select((), (1,), ())
            except OSError:  # closed by its reader, or the disk behind it is full
                self._end_unread()

    def _end_unread(self) -> None:
        if not self._nobody_reads:
            self._nobody_reads = True
            os.kill(os.getpid(), signal.SIGTERM)

    async def _heed_reader(self) -> None:
        """Notice that the reader of a pipe is gone even while there is nothing to write."""
        only_writes = fcntl.fcntl(1, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
        if not (only_writes and stat.S_ISFIFO(os.fstat(1).st_mode)):
            return
        await anyio.wait_readable(1)  # of the writing end, that is
        self._end_unread()

    async def _heed_signals(self) -> None:
        """The first signal ends the turn, or what comes before it; a second one does not wait."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async for received in signals:
                if self._signal is not None:
                    self._transcript.stop()
                    self.fail(OctavoError("Interrupted, without waiting for the turn to end."))
                    os._exit(128 + received)
                self._signal = int(received)
                if self._client is None or self._turn_id is None:
                    self._work.cancel()
                else:
                    await self._interrupt(self._client, self._turn_id)

    async def _interrupt(self, client: Client, turn_id: str) -> None:
        try:
            if self._has_goal:
                from octavo.protocol.goals import GOAL_SET, GoalSetParams

                paused = GoalSetParams(self._thread_id, status="paused")
                await client.call(GOAL_SET, paused)  # else the next turn would begin
            await client.interrupt(self._thread_id, turn_id)
        except (RpcError, LinkClosed):  # it ended by itself meanwhile
            return

    async def _spin(self) -> None:
        while True:
            await anyio.sleep(SPIN_EVERY_S)
            self._transcript.spin()


def _nothing_to_resume(cwd: str | None) -> StoreError:
    if cwd is None:
        return StoreError("There is no thread yet.", hint="Begin one: octavo exec PROMPT.")
    return StoreError(
        f"No thread has begun in {cwd}.",
        hint="Add --all for the newest of any directory, or begin one here.",
    )


def _check_output_file(options: Options) -> None:
    """Empty the file of -o before anything is asked: what is in it afterwards is of this run.

    Raises:
        UsageError: it cannot be written.
    """
    if options.output_file is None:
        return
    try:
        options.output_file.write_bytes(b"")
    except OSError as error:
        raise UsageError(
            f"-o {options.output_file} cannot be written: {error.strerror}.",
            hint="Name a file in a directory that exists and is yours.",
        ) from None


async def _refuse(method: str, params: bytes) -> Any:
    """Nobody is here to answer; the server knows and does not ask."""
    del params
    raise RpcError(NO_METHOD, f"octavo exec answers no {method}.")
