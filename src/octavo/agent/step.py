"""One step of a turn: a response of the model, and the calls it makes.

A call starts as soon as its item is complete in the stream. Items are held back until a call of
theirs starts or the response is complete, so an attempt that breaks off before that can be repeated
and leaves nothing; after that it is not repeated, and what was finished stays. The log and the fold
put outputs in the order of the calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Literal, Protocol

import anyio
import anyio.abc
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.hands import CallHands
from octavo.agent.journal import Journal
from octavo.context.outputs import encode_output
from octavo.model import (
    Call,
    Completed,
    ItemDone,
    ItemStarted,
    Model,
    Prompt,
    ReasoningDelta,
    TextDelta,
)
from octavo.model.retry import Patience
from octavo.protocol.errors import ModelBusy, ModelError, OctavoError
from octavo.protocol.events import CallEnded, Delta, ItemAdded, ItemBegan, Retrying, StepEnded
from octavo.protocol.ids import new_id
from octavo.tools import Hands, Outcome


class Toolbox(Protocol):
    """What runs calls; see `tools.toolbox.Toolbox`."""

    async def run(self, call: Call, hands: Hands) -> Outcome: ...

    def may_run_beside(self, call: Call) -> bool: ...


class Ears(Protocol):
    """What hears between two requests; see `ears.Ears`."""

    async def hear(self, *, called: bool) -> bool: ...


MakeRoom = Callable[[Literal["auto", "asked", "refused"]], Awaitable[bool]]


class Setup(msgspec.Struct, frozen=True):
    """What a turn works with, put together by `wiring`."""

    model: Model
    toolbox: Toolbox
    hands: Callable[[str, str], CallHands]
    """Makes the hands for one call, from the ids of its turn and itself."""
    ears: Ears
    """Hear what the model must be told before the next request, and say if there is to be one."""
    prompt: Callable[[], Prompt]
    """The prompt as of now."""
    make_room: MakeRoom
    """Makes what the model is shown smaller where it has to be; see `compaction`."""
    patience: Patience
    step_limit: int
    time_limit_s: float | None = None
    """Of the turn, by the clock."""


class Step:
    """One response and its calls. `take` it once."""

    def __init__(self, turn_id: str, setup: Setup, journal: Journal) -> None:
        self._turn_id = turn_id
        self._setup = setup
        self._journal = journal
        self._held: list[ItemDone] = []
        self._called = False
        self._last_alone: anyio.Event | None = None
        self._since: list[anyio.Event] = []
        """The calls after the last one whose tool wanted to be alone."""
        self._failure: OctavoError | None = None

    async def take(self) -> bool:
        """Ask the model, run its calls, and return whether there were any.

        Raises:
            ModelError: the model could not be made to answer. Calls that had started are finished.
            StoreError: the log cannot be written.
        """
        async with anyio.create_task_group() as calls:
            try:
                await self._respond(calls)
            except OctavoError as failure:
                self._failure = failure
                if not isinstance(failure, ModelError):
                    calls.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        return self._called

    async def _respond(self, calls: anyio.abc.TaskGroup) -> None:
        patience = self._setup.patience
        while True:
            try:
                await self._listen(calls)
            except ModelError as failure:
                self._held.clear()
                if self._called:
                    self._journal.emit(StepEnded(self._turn_id, now_ms(), cut=True))
                if not isinstance(failure, ModelBusy):
                    raise
                wait_s = patience.next_wait_s(failure)
                if wait_s is None:
                    raise patience.give_up(failure) from failure
                self._say_retrying(failure)
                await anyio.sleep(wait_s)
                if self._called:
                    return
            else:
                patience.reset()
                return

    def _say_retrying(self, failure: ModelBusy) -> None:
        if self._called:  # not a repetition: the turn goes on from what it has
            return
        patience = self._setup.patience
        self._journal.emit(
            Retrying(
                self._turn_id,
                now_ms(),
                str(failure),
                patience.failures,
                patience.limit(failure),
                failure.info,
                failure.status,
            )
        )

    async def _listen(self, calls: anyio.abc.TaskGroup) -> None:
        turn_id, emit = self._turn_id, self._journal.emit
        async with aclosing(self._setup.model.stream(self._setup.prompt())) as chunks:
            async for chunk in chunks:
                match chunk:
                    case TextDelta():
                        emit(Delta(turn_id, chunk.item_id, chunk.text))
                    case ReasoningDelta():
                        emit(self._reasoning(chunk))
                    case ItemStarted():
                        emit(ItemBegan(turn_id, chunk.item_id, chunk.kind, now_ms()))
                    case ItemDone():
                        item = self._with_new_id(chunk)
                        self._held.append(item)
                        if item.call is not None:
                            self._release()
                            self._start(item.call, calls)
                    case Completed():
                        self._release()
                        emit(StepEnded(turn_id, now_ms(), chunk.usage))

    def _reasoning(self, chunk: ReasoningDelta) -> Delta:
        channel: Literal["reasoning", "summary"] = "reasoning" if chunk.raw else "summary"
        return Delta(self._turn_id, chunk.item_id, chunk.text, channel, chunk.part)

    def _release(self) -> None:
        """Let the held items become part of the thread."""
        for item in self._held:
            self._journal.emit(
                ItemAdded(
                    self._turn_id,
                    item.item_id,
                    item.kind,
                    now_ms(),
                    msgspec.Raw(item.raw),
                    item.call.call_id if item.call else None,
                    item.call.name if item.call else None,
                )
            )
        self._held.clear()

    def _with_new_id(self, item: ItemDone) -> ItemDone:
        """Give a call a new id when the model used its id before: outputs are found by it."""
        if item.call is None or not self._journal.thread.knows_call(item.call.call_id):
            return item
        call = msgspec.structs.replace(item.call, call_id=f"call_{new_id()}")
        raw = msgspec.json.decode(item.raw)
        raw["call_id"] = call.call_id
        return msgspec.structs.replace(item, raw=msgspec.json.encode(raw), call=call)

    def _start(self, call: Call, calls: anyio.abc.TaskGroup) -> None:
        """Run `call` beside the others, or after them if its tool wants to be alone."""
        self._called = True
        done = anyio.Event()
        waits_for = [] if self._last_alone is None else [self._last_alone]
        if self._setup.toolbox.may_run_beside(call):
            self._since.append(done)
        else:
            waits_for += self._since
            self._last_alone, self._since = done, []
        calls.start_soon(self._run, call, waits_for, done, calls.cancel_scope)

    async def _run(
        self,
        call: Call,
        waits_for: list[anyio.Event],
        done: anyio.Event,
        scope: anyio.CancelScope,
    ) -> None:
        try:
            for earlier in waits_for:
                await earlier.wait()
            hands = self._setup.hands(self._turn_id, call.call_id)
            outcome = await self._setup.toolbox.run(call, hands)
            raw = encode_output(call.call_id, call.freeform, outcome.content)
            self._journal.emit(
                CallEnded(
                    self._turn_id,
                    call.call_id,
                    now_ms(),
                    msgspec.Raw(raw),
                    outcome.ok,
                    outcome.facts,
                    tuple(sorted(outcome.labels | hands.labels)),
                )
            )
            hands.call_ended()
        except OctavoError as failure:
            self._failure = self._failure or failure
            scope.cancel()
        finally:
            done.set()
