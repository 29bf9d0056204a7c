"""The events of the OpenAI Responses API that carry a scripted answer.

Pure: an `Answer` goes in, encoded server-sent events come out, in the order, and with the fields,
in which the real service sends them. Ids are counted, so the same script gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from octavo.trial.answers import Answer, CustomCall, FunctionCall, Part, Reasoning, Text, WebSearch

_Fields = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def stream_of(answer: Answer, number: int, model: str) -> Iterator[bytes]:
    """Yield the encoded events of `answer`, the `number`th reply, one by one."""
    if answer.events is not None:
        yield from map(sse, answer.events)
        return
    for sequence, event in enumerate(_events(answer, number, model)):
        yield sse({**event, "sequence_number": sequence})
    if answer.malformed is not None:
        yield answer.malformed.encode()


def sse(event: _Fields) -> bytes:
    """Return one server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (str(event.get("type", "")).encode(), _encode(event))


def _events(answer: Answer, number: int, model: str) -> Iterator[_Fields]:
    response: _Fields = {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "usage": None,
    }
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    output: list[_Fields] = []
    for index, part in enumerate(answer.parts):
        item = _item(part, f"{number}_{index}")
        yield from _item_events(part, item, index)
        output.append(item)
    if answer.malformed is None:
        yield _last_event(answer, response, output)


def _last_event(answer: Answer, response: _Fields, output: list[_Fields]) -> _Fields:
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    end: _Fields = {"status": "completed", "output": output, "usage": usage}
    if answer.failed is not None:
        code, message = answer.failed
        end = {"status": "failed", "output": [], "error": {"code": code, "message": message}}
    elif answer.incomplete is not None:
        end["status"] = "incomplete"
        end["incomplete_details"] = {"reason": answer.incomplete}
    return {"type": f"response.{end['status']}", "response": {**response, **end}}


def _item(part: Part, key: str) -> _Fields:
    """Return the finished item of `part`."""
    match part:
        case Text():
            content = {"type": "output_text", "annotations": [], "logprobs": [], "text": part.text}
            item: _Fields = {"id": f"msg_{key}", "type": "message", "status": "completed"}
            item |= {"content": [content], "role": "assistant"}
            return item if part.phase is None else item | {"phase": part.phase}
        case Reasoning():
            item = {"id": f"rs_{key}", "type": "reasoning"}
            item["summary"] = (
                [{"type": "summary_text", "text": part.summary}] if part.summary else []
            )
            if part.encrypted is not None:
                item["encrypted_content"] = part.encrypted
            if part.raw:
                item["content"] = [{"type": "reasoning_text", "text": part.raw}]
            return item
        case FunctionCall():
            given = part.arguments
            arguments = given if isinstance(given, str) else _encode(given).decode()
            item = {"id": f"fc_{key}", "type": "function_call", "status": "completed"}
            call_id = part.call_id or f"call_{key}"
            return item | {"arguments": arguments, "call_id": call_id, "name": part.name}
        case CustomCall():
            item = {"id": f"ctc_{key}", "type": "custom_tool_call", "status": "completed"}
            call_id = part.call_id or f"call_{key}"
            return item | {"call_id": call_id, "input": part.input, "name": part.name}
        case WebSearch():
            action = {"type": "search", "query": part.query}
            item = {"id": f"ws_{key}", "type": "web_search_call", "status": "completed"}
            return item | {"action": action}
        case _:
            assert_never(part)


def _item_events(part: Part, item: _Fields, index: int) -> Iterator[_Fields]:
    """Yield what comes between, and with, an item's `added` and `done`."""
    at: _Fields = {"item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
    match part:
        case Text():
            at["content_index"] = 0
            empty = {**item["content"][0], "text": ""}
            yield {"type": "response.content_part.added", **at, "part": empty}
            for delta in pieces(part.text, part.deltas):
                yield {"type": "response.output_text.delta", **at, "delta": delta, "logprobs": []}
            yield {"type": "response.output_text.done", **at, "text": part.text, "logprobs": []}
            yield {"type": "response.content_part.done", **at, "part": item["content"][0]}
        case Reasoning():
            yield from _reasoning_events(part, at)
        case FunctionCall():
            name = "response.function_call_arguments"
            for delta in pieces(item["arguments"], part.deltas):
                yield {"type": f"{name}.delta", **at, "delta": delta}
            yield {"type": f"{name}.done", **at, "arguments": item["arguments"]}
        case CustomCall():
            name = "response.custom_tool_call_input"
            for delta in pieces(part.input, part.deltas):
                yield {"type": f"{name}.delta", **at, "delta": delta}
            yield {"type": f"{name}.done", **at, "input": part.input}
        case WebSearch():
            for state in ("in_progress", "searching", "completed"):
                yield {"type": f"response.web_search_call.{state}", **at}
        case _:
            assert_never(part)
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _reasoning_events(part: Reasoning, at: _Fields) -> Iterator[_Fields]:
    if part.summary:
        where = {**at, "summary_index": 0}
        name = "response.reasoning_summary"
        text = {"type": "summary_text", "text": ""}
        yield {"type": f"{name}_part.added", **where, "part": text}
        for delta in pieces(part.summary, part.deltas):
            yield {"type": f"{name}_text.delta", **where, "delta": delta}
        yield {"type": f"{name}_text.done", **where, "text": part.summary}
        yield {"type": f"{name}_part.done", **where, "part": {**text, "text": part.summary}}
    if part.raw:
        where = {**at, "content_index": 0}
        for delta in pieces(part.raw, part.deltas):
            yield {"type": "response.reasoning_text.delta", **where, "delta": delta}
        yield {"type": "response.reasoning_text.done", **where, "text": part.raw}


def _begun(item: _Fields) -> _Fields:
    """Return the item as it is announced: nothing in it yet."""
    begun = {name: value for name, value in item.items() if name != "encrypted_content"}
    if "status" in begun:
        begun["status"] = "in_progress"
    empty: _Fields = {"content": [], "summary": [], "arguments": "", "input": ""}
    return begun | {name: value for name, value in empty.items() if name in begun}


def pieces(text: str, count: int) -> Iterator[str]:
    """Yield `text` in at most `count` pieces of about the same length."""
    size = max(1, -(-len(text) // max(1, count)))
    for start in range(0, len(text), size):
        yield text[start : start + size]
