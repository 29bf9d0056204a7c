"""What a model is shown of a thread: make it smaller, take that back, and pin what stays."""

from __future__ import annotations

from octavo.agent.clock import now_ms
from octavo.protocol import methods as m
from octavo.protocol.errors import UsageError
from octavo.protocol.events import Pinned, Unpinned
from octavo.protocol.ids import new_id
from octavo.server.connection import Handler, Request


async def compact(request: Request) -> m.Nothing:
    """thread/compact/start: answered at once; the item `contextCompaction` follows"""
    params = request.params(m.ThreadIdParams)
    request.server.agent(params.thread_id).compact()
    return m.Nothing()


async def undo(request: Request) -> m.UndoCompactionResult:
    """octavo/thread/compact/undo: the next request shows what the last compaction replaced"""
    params = request.params(m.ThreadIdParams)
    agent = request.server.agent(params.thread_id)
    if agent.turn_id is not None:
        raise UsageError(
            "A turn is running in this thread.", hint="Wait until it ends, or interrupt it."
        )
    before_tokens = agent.shown_tokens()
    if not agent.undo_compaction():
        raise UsageError("This thread has no compaction to undo.")
    await agent.journal.sync()
    return m.UndoCompactionResult(agent.shown_tokens(), before_tokens)


async def pin(request: Request) -> m.Pin:
    """octavo/thread/pin: the model is told at its next turn, and again after each compaction"""
    from octavo.context.pins import PIN_LIMIT_CHARS, PINS_LIMIT

    params = request.params(m.PinParams)
    agent = request.server.agent(params.thread_id)
    text = params.text.strip()
    if not text:
        raise UsageError("There is nothing to pin: the text is empty.")
    if len(text) > PIN_LIMIT_CHARS:
        raise UsageError(
            f"A pin has at most {PIN_LIMIT_CHARS:,} characters; this has {len(text):,}.",
            hint="Put it into a file, and pin the name of the file.",
        )
    if len(agent.journal.thread.pins) >= PINS_LIMIT:
        raise UsageError(
            f"This thread has {PINS_LIMIT} pins, as many as it can.", hint="Unpin some first."
        )
    pinned = Pinned(new_id(), now_ms(), text)
    agent.journal.emit(pinned)
    await agent.journal.sync()
    return m.Pin(pinned.pin_id, text)


async def unpin(request: Request) -> m.Nothing:
    """octavo/thread/unpin"""
    params = request.params(m.UnpinParams)
    agent = request.server.agent(params.thread_id)
    if params.id not in agent.journal.thread.pins:
        raise UsageError(
            f"There is no pin {params.id!r} in this thread.",
            hint="`octavo thread pins` lists them.",
        )
    agent.journal.emit(Unpinned(params.id, now_ms()))
    await agent.journal.sync()
    return m.Nothing()


async def pins(request: Request) -> m.PinsResult:
    """octavo/thread/pins: oldest first"""
    params = request.params(m.ThreadIdParams)
    found = request.server.agent(params.thread_id).journal.thread.pins
    return m.PinsResult(tuple(m.Pin(pin_id, text) for pin_id, text in found.items()))


HANDLERS: dict[str, Handler] = {
    m.COMPACT.name: compact,
    m.UNDO_COMPACTION.name: undo,
    m.PIN.name: pin,
    m.UNPIN.name: unpin,
    m.PINS.name: pins,
}
