"""What a client that opens a thread is told of it: earlier turns, or that it may only be read."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import msgspec

from octavo.agent.reopen import reopen
from octavo.agent.thread import Agent
from octavo.config.paths import octavo_home
from octavo.protocol import items as it
from octavo.protocol.errors import StoreError, ThreadBusy
from octavo.protocol.fold import Thread
from octavo.protocol.notifications import Warned
from octavo.server.connection import Request
from octavo.server.server import Server
from octavo.server.sessions import ask_history, described, whole
from octavo.store.forks import read_thread
from octavo.store.rollout import writer_of

TRIES = 3


async def earlier_turns(server: Server, agent: Agent) -> tuple[it.Turn, ...]:
    """Return the turns of a loaded thread, the running one left out.

    When this returns, no turn has ended since it looked; in a thread whose turns end faster than
    they are read, the caller may get some too few, and the ends of those are told it then.
    """
    path = agent.wiring.log_path
    if path is None or not path.exists():
        return ()
    turns: tuple[it.Turn, ...] = ()
    for _ in range(TRIES):
        before = _state(agent.journal.thread)
        turns = await ask_history(server, path, whole)
        if _state(agent.journal.thread) == before:
            break
    running = agent.journal.thread.turn
    return tuple(t for t in turns if running is None or t.id != running.started.turn_id)


def _state(thread: Thread) -> tuple[int, bool, object]:
    return len(thread.turns), thread.turn is None, thread.undone


class Held(msgspec.Struct, frozen=True):
    """A thread that another process writes, as far as it can be read."""

    path: Path
    thread: Thread

    def refusal(self) -> StoreError:
        """Return why nothing can be done with it."""
        who = writer_of(self.path)
        if who is None:
            return StoreError(
                "The thread was in use by another process, and can only be read here.",
                hint="That process has ended: resume the thread again.",
            )
        return ThreadBusy(
            f"The thread is in use by {who}, and only one process may write to a thread.",
            hint="It can be read meanwhile. To go on with it, wait until that one ends, or end it.",
        )


async def read_held(server: Server, path: Path) -> Held:
    """Read a thread that another process writes.

    Raises:
        StoreError: it cannot be read.
    """
    home = octavo_home(server.launch.env)
    thread, _ = reopen(await anyio.to_thread.run_sync(read_thread, home, path))
    if thread.started is None:
        raise StoreError(f"{path} is empty.", hint="Begin a new thread.")
    return Held(path, thread)


async def shown_held(request: Request, held: Held, *, turns: bool) -> it.Thread:
    """Return the thread as the client sees it, and tell the client that it can only be read."""
    server = request.server
    thread = await described(server, held.path)
    if turns:
        found = await ask_history(server, held.path, whole)
        thread = msgspec.structs.replace(thread, turns=found)
    who = await anyio.to_thread.run_sync(writer_of, held.path)
    said = f"The thread is in use by {who or 'another process'}: here it can only be read."
    request.connection.post(Warned(said, thread.id, "thread.held"))
    return msgspec.structs.replace(thread, octavo_held_by=who or "another process")
