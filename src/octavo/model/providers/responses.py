"""The OpenAI Responses API: one POST a prompt, answered by server-sent events.

A request is its history: nothing is kept at the provider (`store: false`), reasoning travels
encrypted, and the bytes of each request extend those of the one before, so that the provider's
prompt cache hits. Items go back as they came; only reasoning that came from elsewhere is left out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from octavo.model import Chunk, Prompt, Provider
from octavo.model.providers.exchange import MAX_ANSWER_BYTES, Exchange, Reading
from octavo.model.providers.kept import Kept
from octavo.model.providers.marks import sendable

SCHEMA_NAME = "octavo_output_schema"
_encode = msgspec.json.encode


class Responses:
    """A model behind a server that speaks the Responses API."""

    def __init__(
        self,
        provider: Provider,
        *,
        env: Mapping[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Get ready to ask `provider`; see `Exchange`."""
        self._provider = provider
        self._exchange = Exchange(
            provider, "/responses", "Responses API", env=env, max_answer_bytes=max_answer_bytes
        )
        self._kept = Kept(lambda _model: _Own(provider.id))

    def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`."""

        def start() -> Reading:
            from octavo.model.providers import responses_reading  # needed no earlier

            return responses_reading.Reading(self._provider, prompt.model)

        items = self._kept.of(prompt.model, prompt.input).items
        return self._exchange.ask(prompt.model, body_of(prompt, items), start)


class _Own:
    """A history as this provider is sent it."""

    def __init__(self, provider_id: str) -> None:
        self.items: list[bytes] = []
        self._provider_id = provider_id

    def take(self, raw: bytes) -> None:
        """Add an item of the history."""
        item = sendable(raw, self._provider_id)
        if item is not None:
            self.items.append(item)


def body_of(prompt: Prompt, input: Sequence[bytes]) -> bytes:
    """Return the request's body, with `input` for the prompt's own.

    Only what follows its last item is not a prefix of the next request's, as long as the settings
    stay the same.
    """
    parts = [
        b'{"model":',
        _encode(prompt.model),
        b',"stream":true,"store":false,"include":["reasoning.encrypted_content"],'
        b'"prompt_cache_key":',
        _encode(prompt.cache_key),
    ]
    reasoning = {"effort": prompt.effort, "summary": prompt.summary}
    reasoning = {name: value for name, value in reasoning.items() if value is not None}
    if reasoning:
        parts += [b',"reasoning":', _encode(reasoning)]
    text = _text_settings(prompt)
    if text:
        parts += [b',"text":{', b",".join(text), b"}"]
    if prompt.tools and prompt.tools != b"[]":
        parallel = b"true" if prompt.parallel_calls else b"false"
        parts += [b',"tool_choice":"auto","parallel_tool_calls":', parallel]
        parts += [b',"tools":', prompt.tools]
    parts.append(b',"input":[')
    # A long history is copied once, so the head goes in front of the first item.
    items = list(input) or [b""]
    items[0] = b"".join(parts) + items[0]
    limit = prompt.max_output_tokens
    # Behind the history: what is left of a budget is another number each time.
    items[-1] += b"]}" if limit is None else b'],"max_output_tokens":%d}' % limit
    return b",".join(items)


def _text_settings(prompt: Prompt) -> list[bytes]:
    text = []
    if prompt.verbosity is not None:
        text.append(b'"verbosity":' + _encode(prompt.verbosity))
    if prompt.output_schema is not None:
        head = b'"format":{"type":"json_schema","name":%b,"strict":true,"schema":'
        text.append(head % _encode(SCHEMA_NAME) + prompt.output_schema + b"}")
    return text
