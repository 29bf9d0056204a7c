"""A history as the messages of Chat Completions.

https://platform.openai.com/docs/api-reference/chat/create says what messages look like. Local
servers put them through a model's own template, and templates are stricter than the API: the system
message is the first and the only one, roles alternate, content is a plain string where it can be.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from octavo.model.catalog import ModelInfo
from octavo.model.providers.spoken import Asked, Image, Part, Text, Thought
from octavo.model.providers.turns import Turns

_encode = msgspec.json.encode
_IMAGE_FOLLOWS = "[The image follows.]"
_REASONING = "reasoning_content"


class ChatTurns(Turns):
    """See `Turns`."""

    def __init__(self, provider_id: str, info: ModelInfo) -> None:
        super().__init__(images=info.images)
        self._provider_id = provider_id
        self._info = info
        self._begin()

    def _begin(self) -> None:
        self._texts: list[str] = []
        self._calls: list[dict[str, object]] = []
        self._reasoning: dict[str, str] = {}

    def _instruct(self, parts: tuple[Text, ...]) -> None:
        if self._info.instructions == "system":
            super()._instruct(parts)
            return
        self._settle()
        self._enter("lead")
        self._parts += parts

    def _lead(self, parts: Sequence[Part]) -> list[bytes]:
        return [_encode({"role": self._info.instructions, "content": _joined(parts)})]

    def _user(self, results: Sequence[bytes], parts: Sequence[Part]) -> list[bytes]:
        if not parts:
            return list(results)
        content: object = _joined(parts)
        if any(isinstance(part, Image) for part in parts):
            content = [_content_part(part) for part in parts]
        return [*results, _encode({"role": "user", "content": content})]

    def _assistant(self) -> list[bytes]:
        said: dict[str, object] = {"role": "assistant"}
        said["content"] = "\n\n".join(self._texts) if self._texts else None
        said |= self._reasoning
        if self._info.reasoning_back:
            said.setdefault(_REASONING, "")
        if self._calls:
            said["tool_calls"] = self._calls
        return [_encode(said)]

    def _think(self, thoughts: Sequence[Thought]) -> None:
        for thought in thoughts:
            field = thought.mark.field
            if field in (_REASONING, "reasoning") and thought.mark.provider == self._provider_id:
                self._reasoning[field] = self._reasoning.get(field, "") + thought.text

    def _say(self, text: str) -> None:
        self._texts.append(text)

    def _ask(self, sent_id: str, asked: Asked) -> None:
        function = {"name": asked.name, "arguments": asked.arguments or "{}"}
        call: dict[str, object] = {"id": sent_id, "type": "function", "function": function}
        if asked.mark.extra_content is not None and asked.mark.provider == self._provider_id:
            call["extra_content"] = asked.mark.extra_content
        self._calls.append(call)

    def _result(self, sent_id: str, parts: Sequence[Part]) -> bytes:
        texts = [part if isinstance(part, Text) else Text(_IMAGE_FOLLOWS) for part in parts]
        return _encode({"role": "tool", "tool_call_id": sent_id, "content": _joined(texts)})

    def _answer(self, sent_id: str, parts: Sequence[Part]) -> None:
        super()._answer(sent_id, parts)
        # A tool's message holds text only; its images are shown by the user, after all outputs.
        if self._images:
            self._parts += [part for part in parts if isinstance(part, Image)]


def _joined(parts: Sequence[Part]) -> str:
    return "\n\n".join(part.text for part in parts if isinstance(part, Text))


def _content_part(part: Part) -> dict[str, object]:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": part.text}
