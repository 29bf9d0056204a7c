"""Threads as their logs have them: read without being loaded, also while another process writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio.to_thread
import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.reopen import reopen
from octavo.config.paths import octavo_home
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.errors import StoreError
from octavo.protocol.events import Event, TurnEnded
from octavo.protocol.fold import Thread
from octavo.protocol.project import Projection
from octavo.server.connection import Handler, Request
from octavo.server.methods.threads import thread_item
from octavo.store.find import find
from octavo.store.reading import read
from octavo.store.rollout import writer_of


async def read_thread(request: Request) -> m.ThreadReadResult:
    """thread/read: neither locks the thread nor changes anything of it."""
    params = request.params(m.ThreadReadParams)
    loaded = request.server.threads.get(params.thread_id)
    path = None if loaded is None else loaded.wiring.log_path
    if loaded is not None and path is None:
        raise StoreError("This thread is ephemeral: it has no log to read.")
    if path is None:
        path = find(octavo_home(request.server.launch.env), params.thread_id)
    is_here = loaded is not None
    return await anyio.to_thread.run_sync(_read, path, is_here, params.include_turns)


def _read(path: Path, is_here: bool, with_turns: bool) -> m.ThreadReadResult:
    writer = None if is_here else writer_of(path)
    reading = read(path)
    thread, _ = reopen(reading)
    if thread.started is None:
        raise StoreError(f"{path} is empty.", hint="Begin a new thread.")
    last = thread.turns[-1].started if thread.turns else None
    events = reading.events
    if thread.turn is not None and writer is None and not is_here:
        events = [*events, TurnEnded(thread.turn.started.turn_id, now_ms(), "crashed")]
    item = thread_item(
        thread,
        path,
        model=thread.started.model if last is None else last.model,
        provider=thread.started.provider if last is None else last.provider,
        effort=None if last is None else last.effort,
        cwd=thread.started.cwd if last is None else last.cwd,
    )
    item = msgspec.structs.replace(
        item,
        status=_status(thread, is_here),
        turns=tuple(_turns(item.id, events)) if with_turns else (),
        octavo_held_by=writer,
    )
    return m.ThreadReadResult(item)


def _status(thread: Thread, is_here: bool) -> it.ThreadStatus:
    if not is_here:
        return it.ThreadStatus("notLoaded")
    if thread.turn is None:
        return it.ThreadStatus("idle")
    return it.ThreadStatus("active", ())


def _turns(thread_id: str, events: Sequence[Event]) -> Iterator[it.Turn]:
    """Yield the turns with their finished items, as a client that followed them would have."""
    projection = Projection(thread_id)
    turns: dict[str, it.Turn] = {}
    items: dict[str, list[it.ThreadItem]] = {}
    for event in events:
        for told in projection(event):
            match told:
                case note.TurnStarted() | note.TurnCompleted():
                    turns[told.turn.id] = told.turn
                case note.ItemCompleted():
                    items.setdefault(told.turn_id, []).append(told.item)
                case _:
                    pass
    for turn in turns.values():
        yield msgspec.structs.replace(turn, items=tuple(items.get(turn.id, ())), items_view="full")


HANDLERS: dict[str, Handler] = {
    m.THREAD_READ.name: read_thread,
}
