"""A history as the messages of Anthropic's Messages API.

https://platform.claude.com/docs/en/api/messages says what they look like. Outputs stand at the
beginning of the user's turn that follows their calls; thinking goes back as it came, to the
provider that signed it and to no other. Late instructions are the user's words here: a system
message in mid-conversation is known to some models only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from octavo.model.catalog import ModelInfo
from octavo.model.providers.spoken import Asked, Image, Part, Text, Thought
from octavo.model.providers.turns import Turns

_encode = msgspec.json.encode
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_ID = 64


class MessageTurns(Turns):
    """See `Turns`.

    Attributes:
        system: the blocks of the system prompt.
        led: the model's last turn with a call began with thinking.
    """

    def __init__(self, provider_id: str, info: ModelInfo) -> None:
        super().__init__(images=info.images)
        self._provider_id = provider_id
        self.system: list[bytes] = []
        self.led = True
        self._begin()

    @property
    def in_tool_loop(self) -> bool:
        """Whether the model has been answered, and goes on with the same turn."""
        return self._kind == "user" and bool(self._results)

    def _begin(self) -> None:
        self._blocks: list[bytes] = []

    def _instruct(self, parts: tuple[Text, ...]) -> None:
        if self._kind not in (None, "lead"):
            super()._instruct(parts)
            return
        self._enter("lead")
        text = "\n\n".join(part.text for part in parts)
        self.system.append(_encode({"type": "text", "text": text}))

    def _lead(self, parts: Sequence[Part]) -> list[bytes]:
        return []  # not among the messages

    def _user(self, results: Sequence[bytes], parts: Sequence[Part]) -> list[bytes]:
        return [_message(b"user", [*results, *map(_block, parts)])]

    def _assistant(self) -> list[bytes]:
        return [_message(b"assistant", self._blocks)]

    def _think(self, thoughts: Sequence[Thought]) -> None:
        for thought in thoughts:
            mark = thought.mark
            if mark.provider != self._provider_id:
                continue
            if mark.redacted is not None:
                block = {"type": "redacted_thinking", "data": mark.redacted}
            elif mark.signature is not None:
                block = {
                    "type": "thinking",
                    "thinking": thought.text,
                    "signature": mark.signature,
                }
            else:
                continue
            self._blocks.append(_encode(block))

    def _say(self, text: str) -> None:
        self._blocks.append(_encode({"type": "text", "text": text}))

    def _ask(self, sent_id: str, asked: Asked) -> None:
        head = _encode({"type": "tool_use", "id": sent_id, "name": asked.name})
        self._blocks.append(head[:-1] + b',"input":' + _object(asked.arguments) + b"}")
        self.led = b"thinking" in self._blocks[0][:32]

    def _result(self, sent_id: str, parts: Sequence[Part]) -> bytes:
        shown = [part for part in parts if isinstance(part, Image) or part.text.strip()]
        head = _encode({"type": "tool_result", "tool_use_id": sent_id})
        if not shown:
            return head
        return head[:-1] + b',"content":[' + b",".join(map(_block, shown)) + b"]}"

    def _fitting_id(self, call_id: str) -> str:
        return _NOT_IN_IDS.sub("_", call_id)[:_MAX_ID]


def _message(role: bytes, blocks: Sequence[bytes]) -> bytes:
    return b'{"role":"%b","content":[%b]}' % (role, b",".join(blocks))


def _block(part: Part) -> bytes:
    if isinstance(part, Text):
        return _encode({"type": "text", "text": part.text})
    head, comma, data = part.url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        media_type = head[5:].partition(";")[0]
        source = {"type": "base64", "media_type": media_type, "data": data}
    else:
        source = {"type": "url", "url": part.url}
    return _encode({"type": "image", "source": source})


def _object(arguments: str) -> bytes:
    """Return a call's arguments as the JSON object that the API wants, as they were written."""
    if not arguments.strip():
        return b"{}"
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return arguments.strip().encode()
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    # As the API's documentation has it of input that is not valid.
    return _encode({"INVALID_JSON": arguments})
