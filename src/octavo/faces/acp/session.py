"""One session of an editor: a thread, what is chosen for it, and the turn that runs in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

from octavo.client.octavo import Thread, TurnResult
from octavo.client.turn import Turn
from octavo.faces.acp.choices import Choices
from octavo.faces.acp.updates import Update, Updates, message
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.inputs import Text, UserInput
from octavo.protocol.items import Thread as ThreadInfo
from octavo.protocol.visible import visible_command
from octavo.rpc import RpcError

Say = Callable[[Update], Awaitable[None]]

COMMANDS = {
    "compact": "Sum the thread up now, to make room for more",
    "undo": "Take the last turn back: what it did to files, and what was said",
}
"""What a prompt may be besides words for the model."""


class Session:
    """A thread of the editor's.

    Attributes:
        updates: of the turn that runs, or the last one.
    """

    def __init__(self, thread: Thread, choices: Choices, say: Say) -> None:
        self.thread = thread
        self.choices = choices
        self.updates = Updates()
        self.say = say
        self._turn: Turn | None = None
        self._compacting: str | None = None
        self._result: TurnResult | None = None
        self._began = anyio.Event()
        self._over = anyio.Event()
        self._busy = False
        self._cancelled = False

    async def prompt(self, parts: tuple[UserInput, ...]) -> str:
        """Do what a person asks; return how that ended: "completed", "interrupted" or "failed".

        A prompt during another one is a word into its turn, and ends with it.

        Raises:
            RpcError: the server refused it.
            TurnFailed: the turn failed.
            LinkClosed: the server is gone.
        """
        if self._busy:
            await self._began.wait()
        if self._turn is not None and await self._said_into(self._turn, parts):
            return "interrupted" if self._result is None else self._result.status
        match parts:
            case (Text(text),) if text.strip() == "/compact":
                return await self._compact()
            case (Text(text),) if text.strip() == "/undo":
                return await self._undo()
            case _:
                return await self._run(parts)

    async def cancel(self) -> None:
        """End the turn that runs, or is about to."""
        self._cancelled = self._busy
        if self._turn is not None:
            await self._turn.interrupt()
        if self._compacting is not None:
            await self.thread.octavo.client.interrupt(self.thread.id, self._compacting)

    async def replay(self, thread: ThreadInfo) -> None:
        """Say again what was said and done in a thread."""
        for turn in thread.turns:
            updates = Updates()
            for item in turn.items:
                for update in updates.item(item):
                    await self.say(update)

    async def _run(self, parts: tuple[UserInput, ...]) -> str:
        self._busy, self._cancelled = True, False
        self._began, self._over = anyio.Event(), anyio.Event()
        self._result, self.updates = None, Updates()
        changed = self.choices.take()
        try:
            async with self.thread.turn(parts, **changed) as turn:
                self._turn, changed = turn, {}
                self._began.set()
                if self._cancelled:
                    await turn.interrupt()
                async for event in turn:
                    for update in self.updates(event):
                        await self.say(update)
                self._result = turn.result
        finally:
            self.choices.put_back(changed)
            self._turn, self._busy = None, False
            self._began.set()
            self._over.set()
        return self._result.checked().status

    async def _said_into(self, turn: Turn, parts: tuple[UserInput, ...]) -> bool:
        """Whether the turn took it; if so, it has ended."""
        over = self._over
        try:
            await turn.steer(parts)
        except RpcError:  # it ended in this moment
            return False
        await over.wait()
        return True

    async def _compact(self) -> str:
        octavo, updates = self.thread.octavo, Updates()
        with octavo.ears.listen(self.thread.id) as events:
            await octavo.client.call(m.COMPACT, m.ThreadIdParams(self.thread.id))
            try:
                async for event in events:
                    if isinstance(event, note.TurnStarted):
                        self._compacting = event.turn.id
                    for update in updates(event):
                        await self.say(update)
                    if isinstance(event, note.TurnCompleted):
                        return event.turn.status
            finally:
                self._compacting = None
        return "failed"

    async def _undo(self) -> str:
        done = await self.thread.octavo.client.call(m.UNDO, m.UndoParams(self.thread.id))
        files = ", ".join(map(visible_command, done.paths)) or "none"
        await self.say(message(f"The last turn was taken back. Files restored: {files}.\n"))
        if done.left:
            left = ", ".join(map(visible_command, done.left))
            await self.say(message(f"These could not be restored: {left}.\n"))
        return "completed"
