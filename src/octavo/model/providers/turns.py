"""A history as messages whose roles take turns: what Chat Completions and the Messages API want.

Items of one side that follow each other become one message, and every call is answered by the very
next one. What an item becomes depends only on the items before it, so a history that grows gives
messages that grow, and nothing is translated twice.

Whatever the history, the rules hold: a call whose output does not follow is answered all the same,
an output that follows no call is told as text, reasoning that nothing follows is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from octavo.model.providers.spoken import (
    ABSENT_OUTPUT,
    GO_ON,
    Answered,
    Asked,
    Image,
    Part,
    Said,
    Text,
    Thought,
    developer_note,
    late_output,
    read_item,
)

_UNSEEN = "[An image was here. This model cannot see images.]"


class Turns(ABC):
    """The messages so far: `messages`, which stay as they are, and the group being written.

    Attributes:
        messages: encoded messages.
        user_at: where in `messages` those of the user are.
    """

    def __init__(self, *, images: bool) -> None:
        """Begin with none; `images` says whether the model sees pictures."""
        self.messages: list[bytes] = []
        self.user_at: list[int] = []
        self._images = images
        self._kind: Literal["lead", "user", "assistant"] | None = None
        self._results: list[bytes] = []
        self._parts: list[Part] = []
        self._thoughts: list[Thought] = []
        """What was thought before something is said or asked for."""
        self._open: list[tuple[str, str]] = []
        """Calls without an output: the id in the history, and the one that is sent."""
        self._used_ids: set[str] = set()

    def take(self, raw: bytes) -> None:
        """Add the next item of the history."""
        match read_item(raw):
            case Said("developer", parts):
                texts = [part for part in parts if isinstance(part, Text) and _is_something(part)]
                if texts:
                    self._instruct(tuple(texts))
            case Said("user", parts):
                self._to_user(parts)
            case Said("assistant", parts):
                text = "".join(part.text for part in parts if isinstance(part, Text))
                if text.strip():
                    self._to_assistant()
                    self._say(text)
            case Thought() as thought:
                self._thoughts.append(thought)
            case Asked() as asked:
                self._to_assistant()
                sent_id = self._new_id(asked.call_id)
                self._open.append((asked.call_id, sent_id))
                self._ask(sent_id, asked)
            case Answered() as answer:
                asked_for = next((one for one in self._open if one[0] == answer.call_id), None)
                if asked_for is None:
                    self._to_user(late_output(answer))
                else:
                    self._open.remove(asked_for)
                    self._enter("user")
                    self._answer(asked_for[1], answer.parts)
            case None:
                pass

    def tail(self) -> list[bytes]:
        """Return the messages of the group being written, as they go into a request now."""
        stubs = [self._result(sent_id, [Text(ABSENT_OUTPUT)]) for _, sent_id in self._open]
        if self._kind == "user":
            return self._user([*self._results, *stubs], self._parts)
        rendered = self._rendered()
        if stubs:
            return [*rendered, *self._user(stubs, [])]
        return rendered

    def go_on(self) -> list[bytes]:
        """Return a message of the user that lets the model speak again."""
        return self._user([], [Text(GO_ON)])

    @property
    def waits(self) -> bool:
        """Whether it is the model's turn: the user, or a call's output, came last."""
        return self._kind == "user" or bool(self._open)

    # Groups.

    def _instruct(self, parts: tuple[Text, ...]) -> None:
        if self._kind in (None, "lead"):
            self._enter("lead")
            self._parts += parts
        else:
            self._to_user(developer_note(parts))

    def _to_user(self, parts: Sequence[Part]) -> None:
        shown = [part for part in map(self._seen, parts) if _is_something(part)]
        if not shown:
            return
        self._settle()
        self._thoughts.clear()
        self._enter("user")
        self._parts += shown

    def _to_assistant(self) -> None:
        if self._kind in (None, "lead") and not self.messages_of_user():
            self._enter("user")  # the first word is always the user's
            self._parts.append(Text(GO_ON))
        if self._kind != "assistant":
            self._settle()
        self._enter("assistant")
        self._think(self._thoughts)
        self._thoughts = []

    def messages_of_user(self) -> bool:
        """Say whether the user has had a turn."""
        return bool(self.user_at)

    def _settle(self) -> None:
        """Answer the calls whose output will not follow them."""
        for _, sent_id in self._open:
            self._enter("user")
            self._answer(sent_id, (Text(ABSENT_OUTPUT),))
        self._open.clear()

    def _answer(self, sent_id: str, parts: Sequence[Part]) -> None:
        self._results.append(self._result(sent_id, [self._seen(part) for part in parts]))

    def _enter(self, kind: Literal["lead", "user", "assistant"]) -> None:
        if self._kind == kind:
            return
        if self._kind == "user":
            self.user_at.append(len(self.messages))
        self.messages += self._rendered()
        self._results, self._parts = [], []
        self._kind = kind
        self._begin()

    def _rendered(self) -> list[bytes]:
        match self._kind:
            case "lead":
                return self._lead(self._parts)
            case "user":
                return self._user(self._results, self._parts)
            case "assistant":
                return self._assistant()
            case None:
                return []

    def _seen(self, part: Part) -> Part:
        return part if self._images or isinstance(part, Text) else Text(_UNSEEN)

    def _new_id(self, call_id: str) -> str:
        """Return the id a call is sent under: its own, if it can be sent and is still free."""
        wanted = self._fitting_id(call_id) or "call"
        sent_id, number = wanted, 2
        while sent_id in self._used_ids:
            sent_id = f"{wanted[:58]}_{number}"
            number += 1
        self._used_ids.add(sent_id)
        return sent_id

    # What the two APIs write in their own ways.

    def _fitting_id(self, call_id: str) -> str:
        return call_id

    @abstractmethod
    def _begin(self) -> None:
        """Begin a group."""

    @abstractmethod
    def _lead(self, parts: Sequence[Part]) -> list[bytes]:
        """Return instructions that come before everything else."""

    @abstractmethod
    def _user(self, results: Sequence[bytes], parts: Sequence[Part]) -> list[bytes]:
        """Return the outputs of calls, and what the user says after them."""

    @abstractmethod
    def _assistant(self) -> list[bytes]:
        """Return the model's turn."""

    @abstractmethod
    def _think(self, thoughts: Sequence[Thought]) -> None:
        """Add what the model thought before what it says next."""

    @abstractmethod
    def _say(self, text: str) -> None:
        """Add what the model said."""

    @abstractmethod
    def _ask(self, sent_id: str, asked: Asked) -> None:
        """Add a call."""

    @abstractmethod
    def _result(self, sent_id: str, parts: Sequence[Part]) -> bytes:
        """Return the output of a call. Chat Completions moves its images to the user's turn."""


def _is_something(part: Part) -> bool:
    return isinstance(part, Image) or bool(part.text.strip())
