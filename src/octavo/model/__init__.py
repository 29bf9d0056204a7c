"""Models: a prompt goes in, chunks come out.

A `Model` is anything with `stream`. Providers (`model.providers`) speak a wire; what they have in
common is the history's form: items of the OpenAI Responses API as encoded JSON, which `protocol`
calls model items. A provider for another wire translates them; nothing outside this package knows
that there are others. Nothing here retries and nothing here keeps state between prompts.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from octavo.protocol.usage import Usage


class Prompt(msgspec.Struct, frozen=True):
    """Everything one request says. Each part is encoded once and its bytes are kept."""

    model: str
    input: Sequence[bytes]
    """Model items as encoded JSON objects, oldest first; extends the last prompt's."""
    tools: bytes
    """A JSON array of tool declarations; the same bytes for the whole thread."""
    cache_key: str
    """The thread's id: groups requests that share a prefix."""
    effort: str | None = None
    """Reasoning effort, such as "medium"; None leaves it to the model."""
    summary: str | None = None
    """Reasoning summary: "auto", "concise", "detailed"; None asks for none."""
    verbosity: str | None = None
    output_schema: bytes | None = None
    """A JSON Schema the last message must follow, encoded."""
    parallel_calls: bool = True
    max_output_tokens: int | None = None
    """The answer may have so many, reasoning included; None leaves it to the model."""


class Call(msgspec.Struct, frozen=True):
    """A tool call, complete."""

    call_id: str
    name: str
    arguments: str
    """JSON text of a function call, or the whole input of a freeform one. Not yet checked."""
    freeform: bool = False


class ItemStarted(msgspec.Struct, frozen=True):
    """The model began an item. `kind` is the model item's type ("message", "reasoning", …)."""

    item_id: str
    kind: str


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of a message being written."""

    item_id: str
    text: str


class ReasoningDelta(msgspec.Struct, frozen=True):
    """A piece of a reasoning summary being written (or of raw reasoning, if `raw`)."""

    item_id: str
    text: str
    part: int = 0
    raw: bool = False


class ItemDone(msgspec.Struct, frozen=True):
    """An item is complete. `raw` is the model item as it goes back in the next prompt.

    Reasoning bears a mark of who made it (`providers.marks`), which is taken off on the way.
    """

    item_id: str
    kind: str
    raw: bytes
    call: Call | None = None
    """Set when the item asks for a tool that octavo runs."""
    text: str = ""
    """A message's text or a reasoning summary's."""


class Completed(msgspec.Struct, frozen=True):
    """The answer is complete; always the last chunk, and absent when the stream broke off."""

    response_id: str
    usage: Usage | None


Chunk = ItemStarted | TextDelta | ReasoningDelta | ItemDone | Completed


class Model(Protocol):
    """Something that answers prompts."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`, chunk by chunk, each as soon as its bytes arrive.

        Closing the iterator, or cancelling its consumer, closes the connection.

        Raises:
            ModelBusy: before the first chunk; asking again may help.
            StreamCut: after the connection was made; the stream ended without `Completed`.
            OutputLimit: the answer grew to `max_output_tokens`, or to the model's own limit.
            ModelError: asking again would not help. `info` says which kind.
        """


WireApi = Literal["auto", "responses", "chat", "anthropic"]
"""Which API is spoken. "auto": Responses, and Chat Completions where there is none."""


class Provider(msgspec.Struct, frozen=True):
    """Where a model is reached: the settings of `[model_providers.X]`, resolved."""

    id: str
    name: str
    base_url: str
    api_key: str | None = None
    http_headers: Mapping[str, str] = {}
    query_params: Mapping[str, str] = {}
    wire_api: WireApi = "responses"
    request_max_retries: int = 4
    stream_max_retries: int = 5
    stream_idle_timeout_ms: int = 300_000

    def credentials(self) -> dict[str, str]:
        """Return the headers that carry the key, as the provider's API wants them."""
        headers = {"anthropic-version": "2023-06-01"} if self.wire_api == "anthropic" else {}
        if self.api_key is None:
            return headers
        if self.wire_api == "anthropic":
            return {**headers, "x-api-key": self.api_key}
        return {**headers, "authorization": f"Bearer {self.api_key}"}

    def secrets(self) -> list[str]:
        """Return what opens the way to the provider: its key, and headers that carry one."""
        sent = [*self.http_headers.items(), *self.query_params.items()]
        words = ("auth", "key", "token", "secret", "cookie")
        values = [value for name, value in sent if any(word in name.lower() for word in words)]
        bare = [value.removeprefix("Bearer ") for value in values]
        return [value for value in (self.api_key, *values, *bare) if value and len(value) >= 8]
