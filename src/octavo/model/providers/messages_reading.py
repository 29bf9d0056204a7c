"""What the events of the Messages API mean, as chunks.

A `Reading` is one answer being read; it does no input or output. Each content block becomes one
item, finished as soon as the block is, so a call starts while the answer goes on. The events are
those of https://platform.claude.com/docs/en/build-with-claude/streaming; unknown ones, and unknown
blocks, are passed over, as that page asks.
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
from octavo.model.providers.marks import Mark, marked
from octavo.model.providers.spoken import Declared, freeform_input
from octavo.model.sse import Event
from octavo.protocol.errors import ModelError, StreamCut
from octavo.protocol.usage import Usage


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Delta(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct):
    type: str = ""
    id: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(_Event).decode
_message = msgspec.json.Decoder(_Message).decode
_usage = msgspec.json.Decoder(_Usage).decode
_encode = msgspec.json.encode
_KINDS = {
    "text": "message",
    "thinking": "reasoning",
    "redacted_thinking": "reasoning",
    "tool_use": "function_call",
}


class _Writing:
    """A block being written."""

    def __init__(self, block: _Block, item_id: str) -> None:
        self.block = block
        self.item_id = item_id
        self.pieces: list[str] = []
        self.signature = block.signature or ""
        self.started = False

    def text(self) -> str:
        return "".join(self.pieces)


class Reading:
    """One answer being read.

    Attributes:
        complete: the answer has ended as it should; nothing further is read.
        ended: the server has said why it stopped.
        paused: the server stopped only for a while, and wants to be asked to go on.
    """

    def __init__(self, provider: Provider, model: str, tools: Sequence[Declared]) -> None:
        self.complete = False
        self.ended = False
        self.paused = False
        self._provider = provider
        self._model = model
        self._freeform = frozenset(tool.name for tool in tools if tool.freeform)
        self._prefix = f"item_{os.urandom(6).hex()}"
        self._named = 0
        self._response_id = ""
        self._blocks: dict[int, _Writing] = {}
        self._usage = _Usage()

    def read(self, event: Event) -> Iterator[Chunk]:
        """Yield the chunks that `event` stands for; see `exchange.Reading`."""
        _name, data = event
        try:
            yield from self._read(_event(data), data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._invalid("an event", str(error)) from error

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """Yield the chunks of an answer that came as one JSON document instead of a stream."""
        try:
            message = _message(body)
            if message.content is None:
                self._fail(body)
            self._begin(message)
            for index, block in enumerate(message.content or ()):
                yield from self._open(index, block)
            yield from self._end(message.stop_reason)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._invalid("an answer", str(error)) from error
        yield from self.closed()

    def closed(self) -> Iterator[Chunk]:
        """Yield the end of an answer; also where the server leaves `message_stop` out."""
        if not self.complete:
            self.complete = True
            yield Completed(self._response_id, self._cost())

    def _read(self, event: _Event, data: bytes) -> Iterator[Chunk]:
        match event.type:
            case "message_start":
                if event.message is not None:
                    self._begin(event.message)
            case "content_block_start":
                if event.content_block is not None:
                    yield from self._open(event.index, event.content_block)
            case "content_block_delta":
                writing = self._blocks.get(event.index)
                if writing is not None and event.delta is not None:
                    yield from self._grow(writing, event.delta)
            case "content_block_stop":
                yield from self._finish(event.index)
            case "message_delta":
                self._count(event.usage)
                if event.delta is not None and event.delta.stop_reason is not None:
                    yield from self._end(event.delta.stop_reason)
            case "message_stop":
                yield from self._end(None)
                yield from self.closed()
            case "error":
                self._fail(data)

    def _begin(self, message: _Message) -> None:
        self._response_id = message.id or ""
        self._count(message.usage)

    # Blocks.

    def _open(self, index: int, block: _Block) -> Iterator[Chunk]:
        yield from self._finish(index)  # a server that never says a block has ended
        self._named += 1
        writing = self._blocks[index] = _Writing(block, f"{self._prefix}_{self._named}")
        if block.type == "tool_use":
            yield from self._start(writing)
        else:
            yield from self._write(writing, block.text or block.thinking or "")

    def _grow(self, writing: _Writing, delta: _Delta) -> Iterator[Chunk]:
        match delta.type:
            case "text_delta":
                yield from self._write(writing, delta.text or "")
            case "thinking_delta":
                yield from self._write(writing, delta.thinking or "")
            case "input_json_delta":
                writing.pieces.append(delta.partial_json or "")
            case "signature_delta":
                writing.signature += delta.signature or ""

    def _write(self, writing: _Writing, text: str) -> Iterator[Chunk]:
        if not text:
            return
        writing.pieces.append(text)
        if writing.block.type == "text":
            yield from self._start(writing)
            yield TextDelta(writing.item_id, text)
        elif writing.block.type == "thinking":
            yield from self._start(writing)
            yield ReasoningDelta(writing.item_id, text)

    def _start(self, writing: _Writing) -> Iterator[Chunk]:
        if not writing.started:
            writing.started = True
            yield ItemStarted(writing.item_id, self._kind_of(writing.block))

    def _kind_of(self, block: _Block) -> str:
        if block.type == "tool_use" and block.name in self._freeform:
            return "custom_tool_call"
        return _KINDS[block.type]

    def _finish(self, index: int) -> Iterator[Chunk]:
        writing = self._blocks.pop(index, None)
        if writing is None or writing.block.type not in _KINDS:
            return
        if writing.block.type == "text" and not writing.pieces:
            return  # the API refuses to get an empty block back
        yield from self._start(writing)
        match writing.block.type:
            case "text":
                yield self._said(writing)
            case "tool_use":
                yield self._called(writing)
            case _:
                yield self._thought(writing)

    def _said(self, writing: _Writing) -> ItemDone:
        content = [{"type": "output_text", "text": writing.text()}]
        raw = _encode({"type": "message", "role": "assistant", "content": content})
        return ItemDone(writing.item_id, "message", raw, text=writing.text())

    def _thought(self, writing: _Writing) -> ItemDone:
        text = writing.text()
        summary = [{"type": "summary_text", "text": text}] if text else []
        raw = _encode({"type": "reasoning", "summary": summary})
        mark = Mark(provider=self._provider.id, signature=writing.signature)
        if writing.block.type == "redacted_thinking":
            mark = Mark(provider=self._provider.id, redacted=writing.block.data or "")
        return ItemDone(writing.item_id, "reasoning", marked(raw, mark), text=text)

    def _called(self, writing: _Writing) -> ItemDone:
        block = writing.block
        given = bytes(block.input).decode()
        arguments = writing.text() or (given if given not in ("", "null") else "{}")
        call_id = block.id or f"toolu_{os.urandom(12).hex()}"
        name = block.name or ""
        kind = self._kind_of(block)
        item: dict[str, object] = {"type": kind, "call_id": call_id, "name": name}
        if kind == "custom_tool_call":
            arguments = freeform_input(arguments)
            item["input"] = arguments
        else:
            item["arguments"] = arguments
        call = Call(call_id, name, arguments, freeform=kind == "custom_tool_call")
        return ItemDone(writing.item_id, kind, _encode(item), call)

    # The end.

    def _end(self, reason: str | None) -> Iterator[Chunk]:
        match reason:
            case "max_tokens":
                raise self._incomplete("max_output_tokens")
            case "refusal":
                raise self._incomplete("refusal")
            case "model_context_window_exceeded":
                from octavo.model.faults import context_too_long

                raise context_too_long(self._provider.name, ".", None)
            case "pause_turn":
                self.paused = True
        # All others end an answer: what they are called says little about what is in it.
        self.ended = True
        for index in sorted(self._blocks):
            yield from self._finish(index)

    def _count(self, raw: msgspec.Raw) -> None:
        """Take what an event says of the cost: later counts replace those before."""
        if bytes(raw) in (b"", b"null"):
            return
        try:
            usage = _usage(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        said = {f: v for f in usage.__struct_fields__ if (v := getattr(usage, f)) is not None}
        self._usage = msgspec.structs.replace(self._usage, **said)

    def _cost(self) -> Usage | None:
        """Return the cost. The API counts what it had cached apart; here it is of the input."""
        usage = self._usage
        if usage == _Usage():
            return None
        cached = usage.cache_read_input_tokens or 0
        written = usage.cache_creation_input_tokens or 0
        given = (usage.input_tokens or 0) + cached + written
        made = usage.output_tokens or 0
        details = usage.output_tokens_details or _OutputDetails()
        return Usage(
            input_tokens=given,
            cached_input_tokens=cached,
            cache_write_input_tokens=written,
            output_tokens=made,
            reasoning_output_tokens=details.thinking_tokens or 0,
            total_tokens=given + made,
        )

    def _incomplete(self, reason: str) -> ModelError:
        from octavo.model.faults import incomplete

        failure = incomplete(self._provider, reason)
        failure.usage = self._cost()
        return failure

    def _invalid(self, what: str, why: str) -> StreamCut:
        return StreamCut(
            f"{self._provider.name} sent {what} that is not valid: {why}.",
            info="responseStreamDisconnected",
        )

    def _fail(self, data: bytes) -> None:
        from octavo.model.faults import failed, read_fault, without_secrets

        said = read_fault(without_secrets(self._provider, data))
        raise failed(self._provider, self._model, said)
