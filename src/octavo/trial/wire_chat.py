"""The chunks of OpenAI's Chat Completions that carry a scripted answer.

Pure, as `wire`. Calls that follow each other are written side by side, a piece of each in turn, as
servers do that run them in parallel. The shapes are those of
https://platform.openai.com/docs/api-reference/chat-streaming; reasoning is in the field that
DeepSeek gave it (https://api-docs.deepseek.com/guides/thinking_mode).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, assert_never

import msgspec

from octavo.trial.answers import Answer, CustomCall, FunctionCall, Reasoning, Text, WebSearch
from octavo.trial.wire import pieces

_Fields = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"
_REASONS = {"max_output_tokens": "length"}


def chunks_of(answer: Answer, number: int, model: str) -> Iterator[bytes]:
    """Yield the encoded chunks of `answer`, the `number`th reply, one by one."""
    if answer.events is not None:
        yield from (b"data: %b\n\n" % _encode(event) for event in answer.events)
        return
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 0}
    head |= {"model": model}

    def chunk(delta: _Fields, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return b"data: %b\n\n" % _encode({**head, "choices": [choice], "usage": None})

    yield chunk({"role": "assistant", "content": ""})
    called = 0
    waiting: list[list[_Fields]] = []
    for index, part in enumerate(answer.parts):
        match part:
            case FunctionCall() | CustomCall():
                waiting.append(list(_call_deltas(part, f"{number}_{index}", called)))
                called += 1
                continue
            case Text():
                deltas = [{"content": piece} for piece in pieces(part.text, part.deltas)]
            case Reasoning():
                text = part.raw or part.summary
                deltas = [{"reasoning_content": piece} for piece in pieces(text, part.deltas)]
            case WebSearch():
                deltas = []  # this wire has none
            case _:
                assert_never(part)
        yield from map(chunk, _side_by_side(waiting))
        waiting.clear()
        yield from map(chunk, deltas)
    yield from map(chunk, _side_by_side(waiting))
    if answer.malformed is not None:
        yield answer.malformed.encode()
        return
    if answer.failed is not None:
        code, message = answer.failed
        error = {"message": message, "type": "scripted", "param": None, "code": code}
        yield b"data: %b\n\n" % _encode({"error": error})
        return
    reason = "tool_calls" if called else "stop"
    if answer.incomplete is not None:
        reason = _REASONS.get(answer.incomplete, answer.incomplete)
    yield chunk({}, reason)
    yield b"data: %b\n\n" % _encode({**head, "choices": [], "usage": _usage(answer)})
    yield _DONE


def _call_deltas(part: FunctionCall | CustomCall, key: str, index: int) -> Iterator[_Fields]:
    given: object = {"input": part.input} if isinstance(part, CustomCall) else part.arguments
    arguments = given if isinstance(given, str) else _encode(given).decode()
    call_id = part.call_id or f"call_{key}"
    function = {"name": part.name, "arguments": ""}
    yield {"index": index, "id": call_id, "type": "function", "function": function}
    for piece in pieces(arguments, part.deltas):
        yield {"index": index, "function": {"arguments": piece}}


def _side_by_side(calls: list[list[_Fields]]) -> Iterator[_Fields]:
    for fragments in zip_longest(*calls):
        for fragment in fragments:
            if fragment is not None:
                yield {"tool_calls": [fragment]}


def _usage(answer: Answer) -> _Fields:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }
