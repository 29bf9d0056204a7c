"""What the model is told between two requests: news, and what the user said meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from octavo.agent.clock import now_ms
from octavo.agent.inbox import Inbox, Said
from octavo.agent.journal import Journal
from octavo.context.assemble import ContextItem
from octavo.protocol.events import ContextAdded, UserSpoke
from octavo.protocol.ids import new_id
from octavo.protocol.inputs import UserInput


class Ears:
    """The ears of one turn.

    Args:
        news: what the model must be told before the next request, besides what the user said.
        named: what the model is given because the user named it: skills.
    """

    def __init__(
        self,
        turn_id: str,
        journal: Journal,
        inbox: Inbox,
        news: Callable[[], Sequence[ContextItem]],
        named: Callable[[Sequence[UserInput]], Sequence[ContextItem]],
    ) -> None:
        self.turn_id = turn_id
        self.inbox = inbox
        self._journal = journal
        self._news = news
        self._named = named

    async def hear(self, *, called: bool) -> bool:
        """Let news and what the user said become part of the thread.

        Whoever asks after this what is left in the inbox gets nothing: the last look at it and the
        return have nothing between them.

        Args:
            called: the model has made calls, so it is waiting for what came of them.

        Returns:
            Whether the model is to be asked.
        """
        self.tell(self._news())
        said = self.inbox.take()
        for one in said:
            self.spoke(one)
        return called or bool(said)

    def news(self) -> Sequence[ContextItem]:
        return self._news()

    def tell(self, items: Sequence[ContextItem]) -> None:
        """Let context become part of the thread."""
        for item in items:
            raw = msgspec.Raw(item.raw)
            self._journal.emit(ContextAdded(self.turn_id, item.key, item.digest, raw))

    def spoke(self, said: Said) -> None:
        """Let what the user said become part of the thread."""
        raw = msgspec.Raw(said.raw)
        client_id, external = said.client_id, said.external
        self._journal.emit(UserSpoke(self.turn_id, new_id(), now_ms(), raw, client_id, external))
        self.tell(self._named(said.inputs))
