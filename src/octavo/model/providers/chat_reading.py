"""What the chunks of Chat Completions mean, as chunks of ours.

A `Reading` is one answer being read; it does no input or output. Items are finished when the server
says why it stopped, because until then a call may still grow: calls come in fragments, side by side
and interleaved. Servers differ in every detail (no index, the same index for all calls, no ids, ids
that come late or change, names in pieces or repeated, whole calls at once, no `[DONE]`); `calls`
sorts that out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from octavo.model import (
    Call,
    Chunk,
    Completed,
    ItemDone,
    ItemStarted,
    Provider,
    ReasoningDelta,
    TextDelta,
)
from octavo.model.providers.chat_calls import Calls, Fragment, Function, Growing
from octavo.model.providers.marks import Mark, marked
from octavo.model.providers.spoken import Declared, freeform_input
from octavo.model.sse import Event
from octavo.protocol.errors import StreamCut
from octavo.protocol.usage import Usage


class _Delta(msgspec.Struct):
    content: msgspec.Raw = msgspec.Raw()
    reasoning_content: str | None = None
    reasoning: msgspec.Raw = msgspec.Raw()
    refusal: str | None = None
    tool_calls: list[Fragment] | None = None
    function_call: Function | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    object: str | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: list[_Part] | str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's: https://api-docs.deepseek.com/guides/kv_cache"""
    cached_tokens: int | None = None
    """Moonshot's."""


_chunk = msgspec.json.Decoder(_Chunk).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_string = msgspec.json.Decoder(str).decode
_usage = msgspec.json.Decoder(_Usage).decode
_encode = msgspec.json.encode
_NOTHING = frozenset({b"", b"null"})

_TOO_LONG = frozenset({"length", "max_tokens", "model_length"})
_FILTERED = frozenset({"content_filter", "safety", "sensitive"})
_BROKEN = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})


class _Writing:
    """A message or a piece of reasoning being written."""

    def __init__(self, item_id: str, field: str | None = None) -> None:
        self.item_id = item_id
        self.field = field
        self.pieces: list[str] = []

    def text(self) -> str:
        return "".join(self.pieces)


class Reading:
    """One answer being read.

    Attributes:
        complete: the answer has ended as it should; nothing further is read.
        ended: the server has said why it stopped.
    """

    def __init__(self, provider: Provider, model: str, tools: Sequence[Declared]) -> None:
        self.complete = False
        self.ended = False
        self._provider = provider
        self._model = model
        self._freeform = frozenset(tool.name for tool in tools if tool.freeform)
        self._response_id = ""
        self._prefix = f"item_{os.urandom(6).hex()}"
        self._named = 0
        self._message: _Writing | None = None
        self._reasoning: _Writing | None = None
        self._calls = Calls([tool.name for tool in tools])
        self._call_items: dict[int, str] = {}
        self._usage: Usage | None = None

    def read(self, event: Event) -> Iterator[Chunk]:
        """Yield the chunks that `event` stands for; see `exchange.Reading`."""
        _name, data = event
        if data.strip() == b"[DONE]":
            if not self.ended and not self._named:
                raise StreamCut(
                    f"{self._provider.name} ended the answer before it said anything.",
                    info="responseStreamDisconnected",
                )
            yield from self.closed()
            return
        yield from self._read_json(data, "an event")

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """Yield the chunks of an answer that came as one JSON document instead of a stream."""
        yield from self._read_json(body, "an answer")
        if not self.ended:
            raise self._invalid("an answer", "it has no choices")
        yield from self.closed()

    def closed(self) -> Iterator[Chunk]:
        """Yield the end of an answer; also where the server leaves `[DONE]` out."""
        if not self.complete:
            yield from self._finish_items()
            self.complete = True
            yield Completed(self._response_id, self._usage)

    def _read_json(self, data: bytes, what: str) -> Iterator[Chunk]:
        try:
            chunk = _chunk(data)
            if bytes(chunk.error) not in _NOTHING or chunk.object == "error":
                self._fail(data)
            yield from self._read(chunk)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._invalid(what, str(error)) from error

    def _read(self, chunk: _Chunk) -> Iterator[Chunk]:
        self._response_id = self._response_id or chunk.id or ""
        if bytes(chunk.usage) not in _NOTHING:
            self._usage = _usage_of(chunk.usage) or self._usage
        for choice in chunk.choices or ():
            if choice.index:
                continue  # only one answer was asked for
            for delta in (choice.delta, choice.message):
                if delta is not None:
                    yield from self._read_delta(delta)
            if choice.finish_reason:
                yield from self._end(choice.finish_reason)
            elif choice.message is not None:
                yield from self._finish_items()
        if self.ended and self._usage is not None and not chunk.choices:
            yield from self.closed()  # the cost comes last

    def _read_delta(self, delta: _Delta) -> Iterator[Chunk]:
        field, text = "reasoning_content", delta.reasoning_content
        if not text and bytes(delta.reasoning).startswith(b'"'):
            field, text = "reasoning", _string(delta.reasoning)
        if text:
            yield from self._think(text, field)
        if bytes(delta.content).startswith(b"["):
            for part in _parts(delta.content):
                yield from self._read_part(part)
        elif bytes(delta.content) not in _NOTHING:
            yield from self._say(_string(delta.content))
        if delta.refusal:
            yield from self._say(delta.refusal)
        fragments = list(delta.tool_calls or ())
        if delta.function_call is not None:  # from before there were tools
            fragments.append(Fragment(index=0, function=delta.function_call))
        for number, call in self._calls.add(fragments):
            if number not in self._call_items:
                yield from self._finish_reasoning()
                item_id = self._call_items[number] = self._new_id()
                yield ItemStarted(item_id, self._kind_of(call))

    def _read_part(self, part: _Part) -> Iterator[Chunk]:
        """Content in parts is Mistral's: https://docs.mistral.ai/capabilities/reasoning"""
        if part.thinking is not None:
            thought = part.thinking
            text = thought if isinstance(thought, str) else "".join(p.text or "" for p in thought)
            if text:
                yield from self._think(text, None)
        elif part.text:
            yield from self._say(part.text)

    def _think(self, text: str, field: str | None) -> Iterator[Chunk]:
        if self._reasoning is None:
            self._reasoning = _Writing(self._new_id(), field)
            yield ItemStarted(self._reasoning.item_id, "reasoning")
        self._reasoning.pieces.append(text)
        yield ReasoningDelta(self._reasoning.item_id, text, raw=True)

    def _say(self, text: str) -> Iterator[Chunk]:
        if not text:
            return
        yield from self._finish_reasoning()
        if self._message is None:
            self._message = _Writing(self._new_id())
            yield ItemStarted(self._message.item_id, "message")
        self._message.pieces.append(text)
        yield TextDelta(self._message.item_id, text)

    def _kind_of(self, call: Growing) -> str:
        return "custom_tool_call" if call.name in self._freeform else "function_call"

    # The end of items and of the answer.

    def _end(self, reason: str) -> Iterator[Chunk]:
        reason = reason.lower()
        if reason in _TOO_LONG or reason in _FILTERED:
            from octavo.model.faults import incomplete

            why = "max_output_tokens" if reason in _TOO_LONG else "content_filter"
            raise incomplete(self._provider, why)
        if reason in _BROKEN:
            raise StreamCut(
                f"{self._provider.name} broke the answer off ({reason}).",
                info="internalServerError",
            )
        # All others end an answer: what they are called says little about what is in it.
        yield from self._finish_items()

    def _finish_items(self) -> Iterator[Chunk]:
        self.ended = True
        yield from self._finish_reasoning()
        message, self._message = self._message, None
        if message is not None:
            text = message.text()
            content = [{"type": "output_text", "text": text}]
            raw = _encode({"type": "message", "role": "assistant", "content": content})
            yield ItemDone(message.item_id, "message", raw, text=text)
        for number, call in self._calls.finish():
            yield self._called(self._call_items[number], call)

    def _finish_reasoning(self) -> Iterator[Chunk]:
        thought, self._reasoning = self._reasoning, None
        if thought is None:
            return
        content = [{"type": "reasoning_text", "text": thought.text()}]
        raw = _encode({"type": "reasoning", "summary": [], "content": content})
        mark = Mark(provider=self._provider.id, field=thought.field)
        yield ItemDone(thought.item_id, "reasoning", marked(raw, mark))

    def _called(self, item_id: str, call: Growing) -> ItemDone:
        call_id = call.id or f"call_{os.urandom(8).hex()}"
        kind = self._kind_of(call)
        item: dict[str, object] = {"type": kind, "call_id": call_id, "name": call.name}
        arguments = call.arguments()
        if kind == "custom_tool_call":
            given = freeform_input(arguments)
            asked = Call(call_id, call.name, given, freeform=True)
            item["input"] = given
        else:
            arguments = arguments or "{}"
            asked = Call(call_id, call.name, arguments)
            item["arguments"] = arguments
        raw = _encode(item)
        if call.extra_content is not None:
            raw = marked(raw, Mark(provider=self._provider.id, extra_content=call.extra_content))
        return ItemDone(item_id, kind, raw, asked)

    def _new_id(self) -> str:
        self._named += 1
        return f"{self._prefix}_{self._named}"

    def _invalid(self, what: str, why: str) -> StreamCut:
        return StreamCut(
            f"{self._provider.name} sent {what} that is not valid: {why}.",
            info="responseStreamDisconnected",
        )

    def _fail(self, data: bytes) -> None:
        from octavo.model.faults import failed, read_fault, without_secrets

        said = read_fault(without_secrets(self._provider, data))
        raise failed(self._provider, self._model, said)


def _usage_of(raw: msgspec.Raw) -> Usage | None:
    """Return what the answer cost; None if the server said it its own way."""
    try:
        usage = _usage(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    given = usage.prompt_tokens or 0
    made = usage.completion_tokens or 0
    into = usage.prompt_tokens_details or _InputDetails()
    out_of = usage.completion_tokens_details or _OutputDetails()
    cached = into.cached_tokens or usage.prompt_cache_hit_tokens or usage.cached_tokens or 0
    return Usage(
        input_tokens=given,
        cached_input_tokens=cached,
        output_tokens=made,
        reasoning_output_tokens=out_of.reasoning_tokens or 0,
        total_tokens=usage.total_tokens or given + made,
    )
