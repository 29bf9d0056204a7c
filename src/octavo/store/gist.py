"""What the index says of a thread, gathered from the lines of its log.

Only the lines that matter for it are decoded, and only as far as they do, so that a log is read at
about the speed of the disk, and a damaged line costs nothing but itself.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Literal, NamedTuple

import msgspec

from octavo.protocol.errors import StoreError
from octavo.protocol.events import ThreadStarted
from octavo.protocol.inputs import Text
from octavo.protocol.show import decode_item, text_of, user_inputs

PREVIEW_CHARACTERS = 120
TEXT_CHARACTERS = 1 << 18
"""Of one message, this much can be found."""


class Said(NamedTuple):
    """A message that can be searched."""

    role: Literal["user", "assistant"]
    turn_id: str
    text: str


class Gist(msgspec.Struct):
    """What is known of a thread after some lines of its log.

    Attributes:
        head: how the log begins; None when that is not how a log of octavo does.
        updated_ms: when something was last said or done in it. A new name does not count.
        preview: how the user's first words begin, or the goal where that came first, on one line.
    """

    head: ThreadStarted | None = None
    updated_ms: int = 0
    preview: str = ""
    name: str = ""
    model: str = ""
    provider: str = ""
    turns: int = 0
    tokens: int = 0

    def take(
        self, lines: Iterable[bytes], *, first: bool, undone: Container[str] = ()
    ) -> list[Said]:
        """Take whole lines in; return the messages among them.

        Args:
            first: they are the beginning of the log.
            undone: turns of which only the cost counts.
        """
        said: list[Said] = []
        for line in lines:
            if first:
                first = False
                self._begin(line)
            elif line.startswith(_WANTED) or (
                line.startswith(_ITEM) and _MESSAGE in line[:_KIND_BYTES]
            ):
                try:
                    self._take(_decode(line), said, undone)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # damaged: it says nothing
        return said

    def _begin(self, line: bytes) -> None:
        try:
            self.head = msgspec.json.decode(line, type=ThreadStarted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self.updated_ms = self.head.at_ms
        self.model, self.provider = self.head.model, self.head.provider

    def _take(self, line: _Line, said: list[Said], undone: Container[str]) -> None:
        if line.type == "thread_named":
            self.name = line.name or ""
            return
        self.updated_ms = max(self.updated_ms, line.at_ms)
        if line.usage is not None:
            self.tokens += line.usage.total
        if line.turn_id in undone:
            return
        match line.type:
            case "turn_started":
                self.turns += 1
                self.model, self.provider = line.model, line.provider
            case "user_spoke" if line.external is None:
                inputs = user_inputs(bytes(line.raw))
                text = "\n".join(part.text for part in inputs if isinstance(part, Text))
                self.preview = self.preview or first_words(text)
                said.append(Said("user", line.turn_id or "", text[:TEXT_CHARACTERS]))
            case "goal_set":
                self.preview = self.preview or first_words(line.objective)
            case "item_added":
                text = text_of(decode_item(line.raw).content)
                said.append(Said("assistant", line.turn_id or "", text[:TEXT_CHARACTERS]))
            case _:
                pass


def first_words(text: str) -> str:
    """Return how `text` begins, on one line."""
    words = " ".join(text[: PREVIEW_CHARACTERS * 4].split())
    return words if len(words) <= PREVIEW_CHARACTERS else words[: PREVIEW_CHARACTERS - 1] + "…"


def turn_of(line: bytes) -> str:
    """Return the id of the turn that a line is of. Raises StoreError: it says none."""
    try:
        return _decode(line).turn_id or ""
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise StoreError(f"The thread's log is damaged: {failure}.") from failure


class _Usage(msgspec.Struct):
    total: int = msgspec.field(default=0, name="totalTokens")


class _Line(msgspec.Struct):
    type: str
    at_ms: int = 0
    turn_id: str | None = None
    model: str = ""
    provider: str = ""
    name: str | None = None
    objective: str = ""
    external: msgspec.Raw | None = None
    usage: _Usage | None = None
    raw: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Line).decode

_WANTED = tuple(
    f'{{"type":"{tag}"'.encode()
    for tag in (
        *("thread_named", "turn_started", "turn_ended", "user_spoke", "spent", "step_ended"),
        *("compacted", "question_answered", "goal_set"),
    )
)
_ITEM = b'{"type":"item_added"'
_MESSAGE = b'"kind":"message"'
_KIND_BYTES = 512
"""Within so many bytes the kind of an item is said: before it come a turn's id and an item's."""
