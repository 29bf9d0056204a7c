"""One turn that a call of a tool began: followed, asked about, cut off.

In the older versions of the protocol a question is asked while the call waits. In the newer one the
call is answered with the question, and made again with the answer: the turn waits between the two,
for a while.
"""

from __future__ import annotations

from collections import deque
from contextlib import AsyncExitStack
from typing import Any

import anyio

from octavo.client.octavo import Thread, TurnResult
from octavo.client.questions import Asked, InputAsked, Reply, ServerAsked
from octavo.client.turn import Turn
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.visible import visible_command

ABANDONED_S = 600.0
"""How long a turn waits for a call to be made again with an answer."""
PROGRESS_CHARACTERS = 200


class Waiting:
    """A question that waits for its answer."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._reply: Reply = {} if isinstance(asked, InputAsked) else "decline"
        self._done = anyio.Event()

    @property
    def is_page(self) -> bool:
        """Whether a server wants a page visited, which is not handed on."""
        return isinstance(self.asked, ServerAsked) and self.asked.mode == "url"

    def answer(self, reply: Reply) -> None:
        """Give the answer; the first one counts."""
        if not self._done.is_set():
            self._reply = reply
            self._done.set()

    async def reply(self) -> Reply:
        """Wait for it."""
        await self._done.wait()
        return self._reply


class Call:
    """A turn in a thread, from the call that begins it to its end. Close it, ended or not.

    Attributes:
        progress: how many things were begun or done.
    """

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.progress = 0
        self.asked_for: Waiting | None = None
        self._questions: deque[Waiting] = deque()
        self._stack = AsyncExitStack()
        self._turn: Turn | None = None

    async def begin(self, prompt: str, **choices: Any) -> None:
        """Start the turn. Raises RpcError, LinkClosed."""
        self._turn = await self._stack.enter_async_context(self.thread.turn(prompt, **choices))

    async def close(self) -> None:
        """Interrupt the turn if it goes on; questions that are open are answered with no."""
        for waiting in (*self._questions, *([self.asked_for] if self.asked_for else [])):
            waiting.answer("decline")
        await self._stack.aclose()

    async def ask(self, asked: Asked) -> Reply:
        """Have `next` give a question, and wait for the answer."""
        waiting = Waiting(asked)
        self._questions.append(waiting)
        # Whoever waits for the next event is woken by one.
        status = it.ThreadStatus("active", ("waitingOnApproval",))
        self.thread.octavo.ears.hear(note.ThreadStatusChanged(self.thread.id, status))
        return await waiting.reply()

    async def next(self) -> Waiting | str | TurnResult:
        """The next thing: a question, a word on what is done now, or how the turn ended.

        Raises:
            LinkClosed: the server is gone.
        """
        assert self._turn is not None
        while True:
            if self._questions:
                return self._questions.popleft()
            if self._turn.ended:
                return self._turn.result
            if (word := _word(await anext(self._turn))) is not None:
                self.progress += 1
                return word[:PROGRESS_CHARACTERS]


def _word(event: note.Notification) -> str | None:
    match event:
        case note.ItemStarted(item=it.CommandExecution() as item):
            return f"$ {visible_command(item.command)}"
        case note.ItemCompleted(item=it.CommandExecution() as item):
            return f"Exit code {item.exit_code}: {visible_command(item.command)}"
        case note.ItemStarted(item=it.McpToolCall() as item):
            return visible_command(f"{item.server} {item.tool}")
        case note.ItemCompleted(item=it.FileChange() as item) if item.status == "completed":
            return "Edited " + ", ".join(visible_command(one.path) for one in item.changes)
        case note.ItemCompleted(item=it.AgentMessage() as item):
            return item.text
        case note.PlanUpdated():
            now = [one.step for one in event.plan if one.status == "inProgress"]
            return f"Plan: {now[0]}" if now else None
        case note.ErrorHappened(will_retry=True):
            return f"{event.error.message} Trying again."
        case _:
            return None
