"""Who is told what happens in a thread, and in whose words.

One `Followers` a loaded thread: it turns each event into notifications once, encodes each once, and
posts them to every connection that follows; questions become server requests to all of them, and
the first answer counts.
"""

from __future__ import annotations

import anyio
import anyio.abc

from octavo.agent.thread import Agent
from octavo.protocol import notifications as note
from octavo.protocol.asking import question_request, read_answer
from octavo.protocol.events import (
    Event,
    GoalCleared,
    GoalSet,
    QuestionAnswered,
    QuestionAsked,
    TurnEnded,
)
from octavo.protocol.notifications import Notification, ServerRequestResolved
from octavo.protocol.project import Projection
from octavo.protocol.questions import Answer
from octavo.rpc import LinkClosed, RpcError
from octavo.rpc.peer import encode_notification
from octavo.server.connection import Connection
from octavo.server.live import Live


class Followers:
    """The connections that follow one thread.

    Attributes:
        live: the running turn, for whoever joins.
    """

    def __init__(self, agent: Agent, projection: Projection, group: anyio.abc.TaskGroup) -> None:
        self._agent = agent
        self._projection = projection
        self._group = group
        self._connections: list[Connection] = []
        self._open: dict[str, QuestionAsked] = {}
        self._asking: dict[str, list[anyio.CancelScope]] = {}
        self._cannot: dict[str, list[Connection]] = {}
        self.live = Live()

    def add(self, connection: Connection) -> None:
        """Tell `connection` everything from now on, open questions included."""
        if connection in self._connections:
            return
        self._connections.append(connection)
        for asked in self._open.values():
            self._group.start_soon(self._ask, connection, asked)

    def remove(self, connection: Connection) -> bool:
        """Tell `connection` nothing more; False if it did not follow."""
        if connection not in self._connections:
            return False
        self._connections.remove(connection)
        for question_id in list(self._cannot):
            self._give_up(question_id)
        return True

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._connections)

    def tell(self, notification: Notification) -> None:
        """Tell all of them."""
        self.live(notification)
        frame = encode_notification(notification.method, notification)
        for connection in self._connections:
            connection.post(notification, frame)

    def on_event(self, event: Event) -> None:
        """Follow the thread's journal."""
        for notification in self._projection(event):
            self.tell(notification)
        match event:
            case QuestionAsked(of="person"):
                self._open[event.question_id] = event
                for connection in self._connections:
                    self._group.start_soon(self._ask, connection, event)
            case QuestionAnswered():
                self._resolve(event.question_id)
            case TurnEnded():
                for question_id in list(self._open):
                    self._resolve(question_id)
                self.tell_goal()
            case GoalSet():
                self.tell_goal()
            case GoalCleared():
                self.tell(note.GoalCleared(self._agent.id))
            case _:
                pass

    def tell_goal(self, to: Connection | None = None) -> None:
        """Tell what there is of the thread's goal, if it has one; only one connection, or all."""
        goal = self._agent.journal.thread.goal
        if goal is not None:
            turn = self._agent.journal.thread.turn
            turn_id = None if turn is None else turn.started.turn_id
            told = note.GoalUpdated(self._agent.id, turn_id, goal.shown(self._agent.id))
            if to is None:
                self.tell(told)
            else:
                to.post(told)

    def _resolve(self, question_id: str) -> None:
        if self._open.pop(question_id, None) is None:
            return
        self._cannot.pop(question_id, None)
        for scope in self._asking.pop(question_id, ()):
            scope.cancel()
        self.tell(ServerRequestResolved(self._agent.id, question_id))

    async def _ask(self, connection: Connection, asked: QuestionAsked) -> None:
        question_id = asked.question_id
        if question_id not in self._open:
            return
        method, params = question_request(self._agent.id, asked)
        with anyio.CancelScope() as scope:
            self._asking.setdefault(question_id, []).append(scope)
            try:
                result = await connection.ask(question_id, method, params)
            except LinkClosed:
                return
            except RpcError:  # it cannot answer
                self._cannot.setdefault(question_id, []).append(connection)
                self._give_up(question_id)
                return
            self._agent.answer(question_id, read_answer(asked.question, result))

    def _give_up(self, question_id: str) -> None:
        """Where nobody of those that are here can answer, the answer is no."""
        cannot = self._cannot[question_id]
        if self._connections and all(one in cannot for one in self._connections):
            self._agent.answer(question_id, Answer("decline"))
