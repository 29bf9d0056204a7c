"""What a thread does, for the diagnostic log: never what was said in it.

At "info" the turns and what went wrong, at "debug" every event by name, at "trace" its ids and
sizes as well. Texts of the user, the model and of tools stay in the thread's own log.
"""

from __future__ import annotations

from octavo.agent.journal import Follower
from octavo.protocol import events as ev
from octavo.store.diagnostics import Diagnostics


def diary(thread_id: str, diagnostics: Diagnostics) -> Follower | None:
    """Return a follower that keeps the diary; None when nothing would be written."""
    if not diagnostics.wants("info"):
        return None

    def write(event: ev.Event) -> None:
        name = type(event).__name__
        match event:
            case ev.TurnStarted():
                diagnostics.write(
                    "info", name, thread=thread_id, turn=event.turn_id, model=event.model
                )
            case ev.TurnEnded():
                diagnostics.write(
                    "info", name, thread=thread_id, outcome=event.outcome, error=event.error
                )
            case ev.Retrying():
                diagnostics.write(
                    "info", name, thread=thread_id, attempt=event.attempt, error=event.message
                )
            case ev.Noticed():
                diagnostics.write("info", name, thread=thread_id, notice=event.message)
            case ev.ItemAdded() | ev.CallEnded():
                diagnostics.write(
                    "debug",
                    name,
                    thread=thread_id,
                    call=event.call_id,
                    size_bytes=len(bytes(event.raw)),
                )
            case ev.ServerTold():
                diagnostics.write(
                    "info", name, thread=thread_id, server=event.name, status=event.status
                )
            case ev.Delta() | ev.Progress() | ev.ItemBegan():
                diagnostics.write("trace", name, thread=thread_id)
            case _:
                diagnostics.write("debug", name, thread=thread_id)

    return write
