"""One turn as a program follows it: its events, its result, a word into it, its end.

A turn that is left before its end, whatever for, is interrupted; that is asked for even while the
program itself is being cancelled, and given up where the server does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import msgspec

from octavo.client import Client
from octavo.client.listening import Ears, Events, turn_of
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import OctavoError, UsageError
from octavo.protocol.inputs import Text, UserInput
from octavo.protocol.usage import Usage
from octavo.rpc import LinkClosed, RpcError

START_S = 60.0
"""How long the server may take to say that a turn has begun; TimeoutError after that."""
INTERRUPT_S = 5.0
"""How long the server may take to hear that a turn was left."""


class TurnResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a turn ended.

    Attributes:
        text: the model's last message; empty where there is none. With an `output_schema`, JSON.
        error: a sentence, where it failed.
        items: all that was said and done, finished, in order.
        usage: tokens of this turn; None where no request was answered.
    """

    id: str
    status: str
    text: str
    items: tuple[it.ThreadItem, ...]
    error: str | None = None
    usage: Usage | None = None
    duration_ms: int | None = None

    def checked(self) -> TurnResult:
        """Return it. Raises TurnFailed if it failed."""
        if self.status == "failed":
            raise TurnFailed(self)
        return self


class TurnFailed(OctavoError):
    """A turn failed. Attribute `result`: how far it came."""

    code = "turn"

    def __init__(self, result: TurnResult) -> None:
        super().__init__(result.error or "The turn failed.")
        self.result = result


class Turn:
    """A turn that was begun. Iterate over it for its events; the last one is `TurnCompleted`.

    Attributes:
        id: stands for it.
    """

    def __init__(self, client: Client, thread_id: str, turn_id: str, events: Events) -> None:
        self.id = turn_id
        self._result: TurnResult | None = None
        self._client = client
        self._thread_id = thread_id
        self._events = events
        self._items: list[it.ThreadItem] = []
        self._usage: Usage | None = None

    @property
    def ended(self) -> bool:
        """Whether its end was read."""
        return self._result is not None

    @property
    def result(self) -> TurnResult:
        """How it ended. Raises UsageError before its end was read."""
        if self._result is None:
            raise UsageError("The turn has not ended.", hint="Read it to its end: `turn.end()`.")
        return self._result

    def __aiter__(self) -> Turn:
        return self

    async def __anext__(self) -> note.Notification:
        if self._result is not None:
            raise StopAsyncIteration
        while turn_of(event := await anext(self._events)) not in (None, self.id):
            pass
        self._take(event)
        return event

    async def end(self) -> TurnResult:
        """Pass over what is left and return how it ended. Raises LinkClosed."""
        while self._result is None:
            await anext(self)
        return self._result

    async def steer(self, put: str | Sequence[UserInput]) -> None:
        """Say something into it. Raises RpcError when it has ended."""
        parts = (Text(put),) if isinstance(put, str) else put
        await self._client.steer(self._thread_id, self.id, parts)

    async def interrupt(self) -> None:
        """Have it end; `end` says when it has. One that has ended is left alone."""
        try:
            await self._client.interrupt(self._thread_id, self.id)
        except RpcError:  # it was over first
            return

    def _take(self, event: note.Notification) -> None:
        match event:
            case note.ItemCompleted():
                self._items.append(event.item)
            case note.TokenUsageUpdated():
                self._usage = event.token_usage.octavo_turn or self._usage
            case note.TurnCompleted():
                turn = event.turn
                said = [one.text for one in self._items if isinstance(one, it.AgentMessage)]
                self._result = TurnResult(
                    id=turn.id,
                    status=turn.status,
                    text=said[-1] if said else "",
                    items=tuple(self._items),
                    error=None if turn.error is None else turn.error.message,
                    usage=self._usage,
                    duration_ms=turn.duration_ms,
                )
            case _:
                pass


@asynccontextmanager
async def turning(client: Client, ears: Ears, params: m.TurnStartParams) -> AsyncIterator[Turn]:
    """Begin a turn, heard from its first event on; interrupt it when it is left unfinished."""
    with ears.listen(params.thread_id) as events:
        # Cut off between its start and its answer, a turn would be nobody's.
        with anyio.fail_after(START_S, shield=True):
            turn_id = (await client.start_turn(params)).id
        turn = Turn(client, params.thread_id, turn_id, events)
        try:
            yield turn
        finally:
            if not turn.ended:
                with anyio.move_on_after(INTERRUPT_S, shield=True):
                    try:
                        await turn.interrupt()
                    except LinkClosed:
                        pass
