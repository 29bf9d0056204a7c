"""Anthropic's Messages API: one POST a prompt, answered by server-sent events.

The bytes of each request extend those of the one before, but for the marks that say how far the
provider may cache it: those move on with the history, and a cache does not count them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from octavo.model import Chunk, Completed, ItemDone, Prompt, Provider
from octavo.model.catalog import ModelInfo, find, nearest_effort
from octavo.model.providers.exchange import MAX_ANSWER_BYTES, Exchange, Reading
from octavo.model.providers.kept import Kept
from octavo.model.providers.messages_history import MessageTurns
from octavo.model.providers.spoken import Declared, declared
from octavo.protocol.usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from octavo.model.providers import messages_reading

CACHED_UP_TO_HERE = b',"cache_control":{"type":"ephemeral"}'
_CACHED_TURNS = 3
"""How many turns of the user are marked, beside the system prompt: 4 marks are allowed."""
_PAUSES = 16
"""How often an answer that only paused is asked to go on."""
_BINDING_BETA = "thinking-binding-controls-2026-08-01"
LEAST_THINKING_TOKENS = 1_024
"""The API refuses a smaller budget."""
_BUDGETS = {
    "minimal": LEAST_THINKING_TOKENS,
    "low": 4_096,
    "medium": 10_000,
    "high": 24_000,
    "xhigh": 32_000,
    "max": 48_000,
}
"""Tokens of thinking, for models that take a budget instead of an effort."""
_encode = msgspec.json.encode


class Messages:
    """A model behind a server that speaks the Messages API."""

    def __init__(
        self,
        provider: Provider,
        *,
        env: Mapping[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Get ready to ask `provider`; see `Exchange`."""
        self._provider = provider

        def exchange(headers: Mapping[str, str]) -> Exchange:
            return Exchange(
                provider,
                "/messages",
                "Messages API",
                env=env,
                max_answer_bytes=max_answer_bytes,
                headers=headers,
            )

        self._make = exchange
        self._exchange = exchange({})
        self._bound: Exchange | None = None
        self._kept = Kept(lambda model: MessageTurns(provider.id, find(model)))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Chunk, None]:
        """Answer `prompt`; see `Model.stream`. A pause of the provider's own is not seen."""
        tools = declared(prompt.tools)
        exchange = self._exchange
        if find(prompt.model).bound_thinking:
            exchange = self._bound = self._bound or self._make({"anthropic-beta": _BINDING_BETA})
        reading: messages_reading.Reading | None = None

        def start() -> Reading:
            nonlocal reading
            from octavo.model.providers import messages_reading  # needed no earlier

            reading = messages_reading.Reading(self._provider, prompt.model, tools)
            return reading

        said: list[bytes] = []
        usage: Usage | None = None
        for left in reversed(range(_PAUSES)):
            turns = self._kept.of(prompt.model, [*prompt.input, *said] if said else prompt.input)
            body = body_of(prompt, turns, tools, resumes=bool(said))
            async with aclosing(exchange.ask(prompt.model, body, start)) as chunks:
                async for chunk in chunks:
                    if isinstance(chunk, ItemDone):
                        said.append(chunk.raw)
                    if not isinstance(chunk, Completed):
                        yield chunk
                        continue
                    usage = usage.plus(chunk.usage or Usage()) if usage else chunk.usage
                    if reading is None or not reading.paused or not left:
                        yield Completed(chunk.response_id, usage)
                        return


def body_of(
    prompt: Prompt, turns: MessageTurns, tools: Sequence[Declared], *, resumes: bool = False
) -> bytes:
    """Return the request's body. But for the marks, only what follows the last message is not a
    prefix of the next one's, as long as the settings stay the same.

    Args:
        prompt: the settings.
        turns: the history.
        tools: what may be called.
        resumes: the model spoke last and is to go on.
    """
    info = find(prompt.model)
    most_tokens = min(info.max_output, prompt.max_output_tokens or info.max_output)
    led = turns.led or not turns.in_tool_loop
    parts = [
        b'{"model":',
        _encode(prompt.model),
        b',"max_tokens":%d,"stream":true' % most_tokens,
        *_thinking(prompt, info, most_tokens, led=led),
    ]
    if tools:
        declarations = [_declaration(tool) for tool in tools]
        if not turns.system:
            declarations[-1] = _marked(declarations[-1], b"}")
        parts += [b',"tools":[', b",".join(declarations), b"]"]
        if not prompt.parallel_calls:
            parts.append(b',"tool_choice":{"type":"auto","disable_parallel_tool_use":true}')
    if turns.system:
        system = [*turns.system[:-1], _marked(turns.system[-1], b"}")]
        parts += [b',"system":[', b",".join(system), b"]"]
    messages = [*turns.messages]
    users = turns.user_at[-_CACHED_TURNS:]
    tail = turns.tail()
    if not turns.waits and not resumes:
        tail += turns.go_on()
    messages += tail
    if turns.waits or not resumes:
        users = [*users, len(messages) - 1][-_CACHED_TURNS:]
    for place in users:
        messages[place] = _marked(messages[place], b"}]}")
    return b"".join([*parts, b',"messages":[', b",".join(messages), b"]}"])


def _marked(block: bytes, end: bytes) -> bytes:
    """Return an encoded block with the mark up to which the provider may cache."""
    return block[: -len(end)] + CACHED_UP_TO_HERE + end


def _declaration(tool: Declared) -> bytes:
    return _encode(
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
    )


def _thinking(prompt: Prompt, info: ModelInfo, most_tokens: int, *, led: bool) -> list[bytes]:
    """Return the settings of thinking and of the answer's form.

    Args:
        prompt: what is wanted.
        info: what the model takes.
        most_tokens: of the whole answer; thinking has half of them at most.
        led: the turn that goes on began with thinking; a budget is refused where it did not.
    """
    effort = nearest_effort(info, prompt.effort)
    config = []
    parts = []
    if effort == "none":
        parts.append(b',"thinking":{"type":"disabled"}')
    elif info.thinking == "budget" and effort is not None and led:
        budget = min(_BUDGETS.get(effort, _BUDGETS["medium"]), most_tokens // 2)
        if budget < LEAST_THINKING_TOKENS:
            return parts
        parts.append(b',"thinking":{"type":"enabled","budget_tokens":%d}' % budget)
    elif info.thinking == "adaptive":
        bound = b',"block_binding":{"prefix_mismatch_behavior":"drop_block"}'
        bound = bound if info.bound_thinking else b""
        parts.append(b',"thinking":{"type":"adaptive","display":"summarized"%b}' % bound)
    if effort not in (None, "none") and info.thinking != "budget":
        config.append(b'"effort":' + _encode(effort))
    if prompt.output_schema is not None:
        config.append(b'"format":{"type":"json_schema","schema":' + prompt.output_schema + b"}")
    if config:
        parts.append(b',"output_config":{' + b",".join(config) + b"}")
    return parts
