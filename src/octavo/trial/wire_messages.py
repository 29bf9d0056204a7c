"""The events of Anthropic's Messages API that carry a scripted answer.

Pure, as `wire`. The shapes are those of
https://platform.claude.com/docs/en/build-with-claude/streaming. Reasoning is a thinking block whose
signature is what `Reasoning.encrypted` gives; with nothing but that, it is a redacted one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from octavo.trial.answers import Answer, CustomCall, FunctionCall, Part, Reasoning, Text, WebSearch
from octavo.trial.wire import pieces, sse

_Fields = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_REASONS = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}


def message_events_of(answer: Answer, number: int, model: str) -> Iterator[bytes]:
    """Yield the encoded events of `answer`, the `number`th reply, one by one."""
    if answer.events is not None:
        yield from map(sse, answer.events)
        return
    yield from map(sse, _events(answer, number, model))
    if answer.malformed is not None:
        yield answer.malformed.encode()


def _events(answer: Answer, number: int, model: str) -> Iterator[_Fields]:
    usage = {
        "input_tokens": answer.input_tokens - answer.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": 1,
    }
    message: _Fields = {"id": f"msg_{number}", "type": "message", "role": "assistant"}
    message |= {"model": model, "content": [], "stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": {**message, "usage": usage}}
    yield {"type": "ping"}
    for index, part in enumerate(answer.parts):
        yield from _block_events(part, f"{number}_{index}", index)
    if answer.malformed is not None:
        return
    if answer.failed is not None:
        code, said = answer.failed
        yield {"type": "error", "error": {"type": code, "message": said}}
        return
    calls = any(isinstance(part, FunctionCall | CustomCall) for part in answer.parts)
    reason = "tool_use" if calls else "end_turn"
    if answer.incomplete is not None:
        reason = _REASONS.get(answer.incomplete, answer.incomplete)
    details = {"thinking_tokens": answer.reasoning_tokens}
    counted = {"output_tokens": answer.output_tokens, "output_tokens_details": details}
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": counted}
    yield {"type": "message_stop"}


def _block_events(part: Part, key: str, index: int) -> Iterator[_Fields]:
    match part:
        case Text():
            block: _Fields = {"type": "text", "text": ""}
            deltas = [
                {"type": "text_delta", "text": text} for text in pieces(part.text, part.deltas)
            ]
        case Reasoning():
            text = part.summary or part.raw
            block = {"type": "thinking", "thinking": "", "signature": ""}
            if not text:
                block = {"type": "redacted_thinking", "data": part.encrypted or ""}
            deltas = [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces(text, part.deltas)
            ]
            if text:
                deltas.append({"type": "signature_delta", "signature": part.encrypted or ""})
        case FunctionCall() | CustomCall():
            given: object = (
                {"input": part.input} if isinstance(part, CustomCall) else part.arguments
            )
            arguments = given if isinstance(given, str) else _encode(given).decode()
            block = {"type": "tool_use", "id": part.call_id or f"toolu_{key}", "name": part.name}
            block["input"] = {}
            deltas = [
                {"type": "input_json_delta", "partial_json": piece}
                for piece in pieces(arguments, part.deltas)
            ]
        case WebSearch():
            block = {"type": "server_tool_use", "id": f"srvtoolu_{key}", "name": "web_search"}
            block["input"] = {"query": part.query}
            deltas = []
        case _:
            assert_never(part)
    yield {"type": "content_block_start", "index": index, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": delta}
    yield {"type": "content_block_stop", "index": index}
