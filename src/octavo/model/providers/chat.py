"""OpenAI's Chat Completions, which nearly every server speaks, each a little differently.

One POST a prompt, answered by server-sent events. The bytes of each request extend those of the one
before. Only what the wire can say is sent: no encrypted reasoning, no hosted search, and freeform
tools as functions of one string. What differs by model is in the catalog.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from octavo.model import Chunk, Prompt, Provider
from octavo.model.catalog import ModelInfo, find, nearest_effort
from octavo.model.providers.chat_history import ChatTurns
from octavo.model.providers.exchange import MAX_ANSWER_BYTES, Exchange, Reading
from octavo.model.providers.kept import Kept
from octavo.model.providers.spoken import Declared, declared

SCHEMA_NAME = "octavo_output_schema"
_encode = msgspec.json.encode


class Chat:
    """A model behind a server that speaks Chat Completions."""

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
            provider,
            "/chat/completions",
            "Chat Completions API",
            env=env,
            max_answer_bytes=max_answer_bytes,
        )
        self._kept = Kept(lambda model: ChatTurns(provider.id, find(model)))

    def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`."""
        tools = declared(prompt.tools)

        def start() -> Reading:
            from octavo.model.providers import chat_reading  # needed no earlier

            return chat_reading.Reading(self._provider, prompt.model, tools)

        turns = self._kept.of(prompt.model, prompt.input)
        return self._exchange.ask(prompt.model, body_of(prompt, turns, tools), start)


def body_of(prompt: Prompt, turns: ChatTurns, tools: Sequence[Declared]) -> bytes:
    """Return the request's body. Only what follows the last message is not a prefix of the next
    one's, as long as the settings stay the same."""
    info = find(prompt.model)
    parts = [
        b'{"model":',
        _encode(prompt.model),
        b',"stream":true,"stream_options":{"include_usage":true}',
    ]
    if info.instructions == "developer":  # OpenAI's own; others may refuse what they do not know
        parts += [b',"prompt_cache_key":', _encode(prompt.cache_key)]
        if prompt.verbosity is not None:
            parts += [b',"verbosity":', _encode(prompt.verbosity)]
    effort = nearest_effort(info, prompt.effort)
    if effort is not None:
        parts += [b',"reasoning_effort":', _encode(effort)]
    if tools:
        parallel = b"true" if prompt.parallel_calls else b"false"
        parts += [b',"parallel_tool_calls":', parallel, b',"tools":', _declarations(tools)]
    if prompt.output_schema is not None:
        parts += [b',"response_format":', _format(prompt.output_schema, info)]
    messages = [*turns.messages, *turns.tail()]
    if not turns.waits:
        messages += turns.go_on()
    if prompt.output_schema is not None and not info.json_schema:
        said = f"Answer with one JSON object of this JSON Schema:\n{prompt.output_schema.decode()}"
        messages.append(_encode({"role": "user", "content": said}))
    end = b"]}"
    if prompt.max_output_tokens is not None:
        # The older name is the one that all know but OpenAI's models that reason.
        name = b"max_completion_tokens" if info.instructions == "developer" else b"max_tokens"
        end = b'],"%b":%d}' % (name, prompt.max_output_tokens)
    return b"".join([*parts, b',"messages":[', b",".join(messages), end])


def _declarations(tools: Sequence[Declared]) -> bytes:
    return _encode(
        [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in tools
        ]
    )


def _format(schema: bytes, info: ModelInfo) -> bytes:
    if not info.json_schema:
        return b'{"type":"json_object"}'
    head = b'{"type":"json_schema","json_schema":{"name":%b,"strict":true,"schema":'
    return head % _encode(SCHEMA_NAME) + schema + b"}}"
