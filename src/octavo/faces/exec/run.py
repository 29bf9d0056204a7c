"""The flow of `octavo exec`: open a thread, give it one turn, show it, end as it ended.

Whatever happens — a failing turn, SIGINT, SIGTERM, a reader that goes away — the last line says
how the turn ended and nothing is left running.
"""

from __future__ import annotations

import os
import signal
from contextlib import aclosing
from typing import Any

import anyio
import msgspec

from octavo import __version__
from octavo.client import Client, connect
from octavo.faces.exec.json_events import JsonEvent, JsonEvents
from octavo.faces.exec.options import Options
from octavo.faces.exec.prompt import inputs, output_schema
from octavo.faces.exec.transcript import Transcript
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import OctavoError, StoreError
from octavo.protocol.inputs import UserInput
from octavo.rpc import NO_METHOD, Link, LinkClosed, RpcError

OK, FAILED, USAGE = 0, 1, 2
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
        self._thread_id = ""
        self._turn_id: str | None = None
        self._signal: int | None = None
        self._message: str | None = None
        self._status = "failed"
        self._nobody_reads = False
        self.failure: OctavoError | None = None

    async def over(self, link: Link) -> int:
        """Run over a connection to a server; return the exit code."""
        try:
            schema = output_schema(self._options.output_schema)
            asked = await inputs(self._options)
        except OctavoError as failure:
            self._fail(failure)
            return USAGE
        async with connect(link, name="octavo_exec", version=__version__, answer=_refuse) as client:
            await self._serve(client, asked, schema)
        return self._exit_code()

    async def _serve(
        self, client: Client, asked: tuple[UserInput, ...], schema: dict[str, Any] | None
    ) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._heed_signals, client)
            if self._json is None:
                group.start_soon(self._spin)
            try:
                await self._turn(client, asked, schema)
            except RpcError as error:
                self._fail(Refused(error))
            except OctavoError as failure:
                self._fail(failure)
            group.cancel_scope.cancel()
        self._transcript.stop()

    async def _turn(
        self, client: Client, asked: tuple[UserInput, ...], schema: dict[str, Any] | None
    ) -> None:
        thread = await self._open(client)
        self._thread_id = thread.thread.id
        self._print(None if self._json is None else self._json.thread_started(self._thread_id))
        if self._json is None:
            self._transcript.began(thread)
        turn = await client.start_turn(
            m.TurnStartParams(self._thread_id, asked, output_schema=schema)
        )
        self._turn_id = turn.id
        if self._signal is not None:
            await self._interrupt(client)
        async with aclosing(client.notifications()) as notifications:
            async for notification in notifications:
                if isinstance(notification, note.TurnCompleted):
                    await self._finish(client, notification)
                    return
                self._show(notification)
        raise StoreError("The server went away in mid-turn.", hint="Resume the thread.")

    async def _open(self, client: Client) -> m.ThreadResult:
        options = self._options
        thread_id = options.resume
        if options.resume_last:
            cwd = None if options.resume_all else str(options.cwd)
            page = await client.call(m.THREAD_LIST, m.ThreadListParams(limit=1, cwd=cwd))
            if not page.data:
                where = "" if cwd is None else f" that began in {cwd}"
                raise StoreError(f"There is no thread{where}.", hint="Begin one, or add --all.")
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
        self._turn_id = None
        self._write_message()
        self._show(completed)

    def _show(self, notification: note.Notification) -> None:
        match notification:
            case note.ItemCompleted(item=it.AgentMessage() as message):
                self._message = message.text
            case _:
                pass
        if self._json is None:
            self._transcript(notification)
            return
        for event in self._json(notification):
            self._print(event)

    def _write_message(self) -> None:
        """The last message to stdout, for people, and to the file of -o, verbatim."""
        if self._message is None:
            return
        data = self._message.encode("utf-8", "replace")
        if self._json is None and self._status == "completed":
            self._transcript.stop()
            self._write(data if data.endswith(b"\n") else data + b"\n")
        file = self._options.output_file
        if file is not None and self._status == "completed":
            try:
                file.write_bytes(data)
            except OSError as error:
                failure = StoreError(f"The last message was not written to {file}: {error}.")
                self.failure = failure

    def _fail(self, failure: OctavoError) -> None:
        self.failure = failure
        self._print(None if self._json is None else self._json.failed(str(failure)))

    def _exit_code(self) -> int:
        if self._signal is not None and self._status != "completed":
            return 128 + self._signal
        if isinstance(self.failure, Refused) and self.failure.is_usage:
            return USAGE
        if self.failure is not None:
            return FAILED
        return OK if self._status == "completed" else FAILED

    def _print(self, event: JsonEvent | None) -> None:
        if event is not None:
            self._write(msgspec.json.encode(event) + b"\n")

    def _write(self, data: bytes) -> None:
        """Write to stdout, whole. A reader that went away ends the run like SIGPIPE would."""
        view = memoryview(data)
        while view and not self._nobody_reads:
            try:
                view = view[os.write(1, view) :]
            except BrokenPipeError:
                self._nobody_reads = True
                os.kill(os.getpid(), signal.SIGTERM)

    async def _heed_signals(self, client: Client) -> None:
        """The first signal interrupts the turn; a second one does not wait for it."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with anyio.open_signal_receiver(*wanted) as signals:
            async for received in signals:
                if self._signal is not None:
                    os._exit(128 + received)
                self._signal = int(received)
                if self._turn_id is not None:
                    await self._interrupt(client)

    async def _interrupt(self, client: Client) -> None:
        if self._turn_id is None:
            return
        try:
            await client.interrupt(self._thread_id, self._turn_id)
        except (RpcError, LinkClosed):  # it ended by itself meanwhile
            return

    async def _spin(self) -> None:
        while True:
            await anyio.sleep(SPIN_EVERY_S)
            self._transcript.spin()


async def _refuse(method: str, params: bytes) -> Any:
    """Nobody is here to answer; the server knows and does not ask."""
    del params
    raise RpcError(NO_METHOD, f"octavo exec answers no {method}.")
