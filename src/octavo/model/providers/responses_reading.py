"""What the events of the Responses API mean, as chunks.

A `Reading` is one answer being read; it does no input or output. Only the fields that are needed
are decoded, and an item is kept as the bytes it came in, because that is how it goes back (with a
mark of where it came from, if it is reasoning). Local servers leave out ids, announcements, even
whole events: whatever is missing is made up for, so a listener always sees an item start before its
deltas and end once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

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
from octavo.model.sse import Event
from octavo.protocol.errors import StreamCut
from octavo.protocol.usage import Usage


class _Delta(msgspec.Struct):
    delta: str = ""
    item_id: str | None = None
    output_index: int | None = None
    summary_index: int | None = None


class _Part(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str = "unknown"
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    input: str | None = None
    content: msgspec.Raw = msgspec.Raw()
    summary: msgspec.Raw = msgspec.Raw()


class _ItemEvent(msgspec.Struct):
    item: msgspec.Raw
    output_index: int | None = None


class _Head(msgspec.Struct):
    type: str = ""
    id: str | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    incomplete_details: _Incomplete | None = None


class _ResponseEvent(msgspec.Struct):
    response: _Response


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_delta = msgspec.json.Decoder(_Delta).decode
_item = msgspec.json.Decoder(_Item).decode
_item_event = msgspec.json.Decoder(_ItemEvent).decode
_head = msgspec.json.Decoder(_Head).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_response = msgspec.json.Decoder(_Response).decode
_response_event = msgspec.json.Decoder(_ResponseEvent).decode
_usage = msgspec.json.Decoder(_Usage).decode
_string = msgspec.json.Decoder(str).decode

_TEXT = frozenset({b"response.output_text.delta", b"response.refusal.delta"})
_SUMMARY = b"response.reasoning_summary_text.delta"
_RAW = frozenset({b"response.reasoning_text.delta", b"response.reasoning.delta"})
_ADDED = b"response.output_item.added"
_DONE = b"response.output_item.done"
_CREATED = b"response.created"
_ENDS = frozenset({b"response.completed", b"response.failed", b"response.incomplete"})
_ERROR = b"error"
_NAMELESS = frozenset({b"", b"message"})


class Reading:
    """One answer being read.

    Attributes:
        complete: the answer has ended as it should; nothing further is read.
        ended: never alone: the last event says everything.
    """

    def __init__(self, provider: Provider, model: str) -> None:
        self.complete = False
        self.ended = False
        self._provider = provider
        self._model = model
        self._response_id = ""
        self._places: dict[int | None, str] = {}
        """Which item was announced last at which place in the output."""
        self._started: set[str] = set()
        self._done: dict[str, bytes] = {}
        self._named = 0

    def read(self, event: Event) -> Iterator[Chunk]:
        """Yield the chunks that `event` stands for; unknown events stand for none.

        Raises:
            StreamCut: the event is malformed, or says that the answer broke off.
            ModelError: the event says that the answer failed for good.
        """
        name, data = event
        try:
            yield from self._read(name, data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StreamCut(
                f"{self._provider.name} sent an event that is not valid: {error}.",
                info="responseStreamDisconnected",
            ) from error

    def read_whole(self, body: bytes) -> Iterator[Chunk]:
        """Yield the chunks of an answer that came as one JSON document instead of a stream."""
        try:
            response = _response(body)
            if response.status is None and response.output is None and not bytes(response.error):
                raise msgspec.ValidationError("it has no output")
            yield from self._end(response)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StreamCut(
                f"{self._provider.name} sent an answer that is not valid: {error}.",
                info="responseStreamDisconnected",
            ) from error

    def closed(self) -> Iterator[Chunk]:
        """Yield nothing: an answer without its last event is not complete."""
        return iter(())

    def _read(self, name: bytes, data: bytes) -> Iterator[Chunk]:
        if name in _NAMELESS:
            if data == b"[DONE]" or not data:
                return
            name = _head(data).type.encode()
        if name in _TEXT:
            delta = _delta(data)
            item_id = self._open_item(delta.item_id, delta.output_index)
            yield from self._start(item_id, "message")
            yield TextDelta(item_id, delta.delta)
        elif name == _SUMMARY:
            delta = _delta(data)
            item_id = self._open_item(delta.item_id, delta.output_index)
            yield from self._start(item_id, "reasoning")
            yield ReasoningDelta(item_id, delta.delta, delta.summary_index or 0)
        elif name in _RAW:
            delta = _delta(data)
            item_id = self._open_item(delta.item_id, delta.output_index)
            yield from self._start(item_id, "reasoning")
            yield ReasoningDelta(item_id, delta.delta, raw=True)
        elif name == _ADDED:
            added = _item_event(data)
            head = _head(added.item)
            yield from self._start(self._place(head.id, added.output_index), head.type)
        elif name == _DONE:
            done = _item_event(data)
            yield from self._finish(bytes(done.item), done.output_index)
        elif name in _ENDS:
            yield from self._end(_response_event(data).response, name)
        elif name == _CREATED:
            self._response_id = _response_event(data).response.id or ""
        elif name == _ERROR:
            self._fail(data)

    # Items.

    def _start(self, item_id: str, kind: str) -> Iterator[Chunk]:
        if item_id not in self._started:
            self._started.add(item_id)
            yield ItemStarted(item_id, kind)

    def _finish(self, raw: bytes, index: int | None) -> Iterator[Chunk]:
        """Yield the chunks of a finished item."""
        item = _item(raw)
        if item.id and self._done.get(item.id) == raw:
            return  # said twice
        item_id = self._open_item(item.id, index)
        self._done[item_id] = raw
        if b"\n" in raw:
            raw = msgspec.json.format(raw, indent=-1)
        call = None
        if item.type == "function_call":
            call_id = item.call_id or item_id
            call = Call(call_id, item.name or "", _text_of(item.arguments))
        elif item.type == "custom_tool_call":
            call_id = item.call_id or item_id
            call = Call(call_id, item.name or "", item.input or "", freeform=True)
        if call is not None and not item.call_id:
            # Its output will name the call, so the call must have a name when it goes back.
            raw = b'{"call_id":%b,%b' % (msgspec.json.encode(call.call_id), raw.lstrip()[1:])
        if item.type == "reasoning":
            raw = marked(raw, Mark(provider=self._provider.id))
        yield from self._start(item_id, item.type)
        yield ItemDone(item_id, item.type, raw, call, _written(item))

    def _open_item(self, given: str | None, index: int | None) -> str:
        """Return the id of the item that an event belongs to.

        The id it was announced with counts, also if the server gives it another one later.
        """
        if given and given in self._started and given not in self._done:
            return given
        known = self._places.get(index)
        if known is not None and known not in self._done:
            return known
        return self._place(given, index)

    def _place(self, given: str | None, index: int | None) -> str:
        """Return the id of a new item, made up if the server gave none of its own."""
        if not given or given in self._started:
            prefix = self._response_id or f"item_{os.urandom(6).hex()}"
            self._response_id = prefix
            given = f"{prefix}_{self._named}"
            self._named += 1
        self._places[index] = self._places[None] = given
        return given

    # The end.

    def _end(self, response: _Response, name: bytes = b"") -> Iterator[Chunk]:
        status = name.removeprefix(b"response.").decode() or response.status
        if status == "failed" or (not name and bytes(response.error) not in (b"", b"null")):
            self._fail(bytes(response.error), _usage_of(response.usage))
        if status == "incomplete":
            from octavo.model.faults import incomplete

            details = response.incomplete_details
            failure = incomplete(self._provider, (details and details.reason) or "")
            failure.usage = _usage_of(response.usage)
            raise failure
        if status not in (None, "completed"):
            raise StreamCut(
                f"{self._provider.name} ended the answer in the state {status!r}.",
                info="responseStreamDisconnected",
            )
        # Items come in order, so those already finished are the first of the output. Ids are no
        # guide: some servers make new ones for this event.
        output = response.output or []
        for index in range(len(self._done), len(output)):
            yield from self._finish(bytes(output[index]), index)
        self.complete = True
        yield Completed(response.id or self._response_id, _usage_of(response.usage))

    def _fail(self, data: bytes, usage: Usage | None = None) -> None:
        from octavo.model.faults import failed, read_fault, without_secrets

        said = read_fault(without_secrets(self._provider, data))
        failure = failed(self._provider, self._model, said)
        failure.usage = usage
        raise failure


def _text_of(arguments: msgspec.Raw) -> str:
    """Return the arguments of a call as text, also from a server that sends an object."""
    raw = bytes(arguments)
    if raw.startswith(b'"'):
        return _string(raw)
    return "" if raw == b"null" else raw.decode()


def _written(item: _Item) -> str:
    """Return a message's text or a reasoning summary's."""
    if item.type == "message":
        return "".join(part.text or part.refusal or "" for part in _parts_of(item.content))
    if item.type == "reasoning":
        return "\n\n".join(part.text for part in _parts_of(item.summary) if part.text)
    return ""


def _parts_of(raw: msgspec.Raw) -> list[_Part]:
    text = bytes(raw)
    if text.startswith(b"["):
        return _parts(text)
    if text.startswith(b'"'):
        return [_Part(_string(text))]
    return []


def _usage_of(raw: msgspec.Raw) -> Usage | None:
    """Return what the answer cost; None if the server did not say, or said it its own way."""
    try:
        usage = _usage(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    given = usage.input_tokens or 0
    made = usage.output_tokens or 0
    into = usage.input_tokens_details or _InputDetails()
    out_of = usage.output_tokens_details or _OutputDetails()
    return Usage(
        input_tokens=given,
        cached_input_tokens=into.cached_tokens or 0,
        cache_write_input_tokens=into.cache_write_tokens or 0,
        output_tokens=made,
        reasoning_output_tokens=out_of.reasoning_tokens or 0,
        total_tokens=usage.total_tokens or given + made,
    )
