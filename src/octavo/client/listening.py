"""Who hears what of which thread: notifications go to those that listen to their thread.

Handing one on never waits; what was not read yet is kept, in order. A failure ends a listener's
stream with that error, after what came before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from octavo.protocol.notifications import Notification, ThreadStarted
from octavo.rpc import LinkClosed


class Events:
    """What one listener hears, in order; an async iterator. Raises LinkClosed at the end."""

    def __init__(self) -> None:
        self._heard: deque[Notification] = deque()
        self._end: Exception | None = None
        self._more = anyio.Event()

    def put(self, event: Notification) -> None:
        """Hand one on."""
        self._heard.append(event)
        self._more.set()

    def fail(self, error: Exception) -> None:
        """End it, with the first error that is given."""
        self._end = self._end or error
        self._more.set()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Notification:
        while not self._heard:
            if self._end is not None:
                raise self._end
            self._more = anyio.Event()
            await self._more.wait()
        return self._heard.popleft()


class Ears:
    """All listeners of one connection."""

    def __init__(self) -> None:
        self._listening: dict[str, list[Events]] = {}
        self._closed = False

    @contextmanager
    def listen(self, thread_id: str) -> Iterator[Events]:
        """Hear what happens in a thread while the context lasts."""
        events = Events()
        if self._closed:
            events.fail(LinkClosed())
        others = self._listening.setdefault(thread_id, [])
        others.append(events)
        try:
            yield events
        finally:
            others.remove(events)
            if not others and self._listening.get(thread_id) is others:
                del self._listening[thread_id]

    def hear(self, event: Notification) -> None:
        """Hand `event` to those that listen to its thread."""
        for events in self._listening.get(thread_of(event) or "", ()):
            events.put(event)

    def fail(self, thread_id: str, error: Exception) -> None:
        """End the streams of a thread with `error`."""
        for events in self._listening.get(thread_id, ()):
            events.fail(error)

    def close(self) -> None:
        """The connection is gone: every stream ends with LinkClosed."""
        self._closed = True
        for thread_id in self._listening:
            self.fail(thread_id, LinkClosed())


def thread_of(event: Notification) -> str | None:
    """The id of the thread that `event` is about; None where it is about none."""
    if isinstance(event, ThreadStarted):
        return event.thread.id
    return getattr(event, "thread_id", None)


def turn_of(event: Notification) -> str | None:
    """The id of the turn that `event` is about; None where it is about none."""
    turn = getattr(event, "turn", None)
    return getattr(event, "turn_id", None) if turn is None else turn.id
