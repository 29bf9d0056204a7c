"""What a scripted model says: parts, the answers they make, and how an answer goes wrong.

An answer is data, so a script can be written as JSON as well as in Python. Turning it into the
events of the wire is `wire`; this file does no input or output.

    script = [call("exec_command", cmd="ls"), [think("Easy."), say("Done.")], refuse(503)]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from octavo.trial.connection import Received


class Text(msgspec.Struct, frozen=True, tag="text", forbid_unknown_fields=True):
    """A message of the assistant."""

    text: str
    deltas: int = 1
    """In how many pieces it is streamed."""
    phase: str | None = None


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning", forbid_unknown_fields=True):
    """A reasoning item."""

    summary: str = ""
    encrypted: str | None = None
    raw: str = ""
    """Reasoning in plain text, as open models send it."""
    deltas: int = 1


class FunctionCall(msgspec.Struct, frozen=True, tag="call", forbid_unknown_fields=True):
    """A call of a function tool. Arguments given as text are sent as they are, valid or not."""

    name: str
    arguments: dict[str, Any] | str = {}
    call_id: str | None = None
    deltas: int = 1


class CustomCall(msgspec.Struct, frozen=True, tag="custom", forbid_unknown_fields=True):
    """A call of a freeform tool."""

    name: str
    input: str
    call_id: str | None = None
    deltas: int = 1


class WebSearch(msgspec.Struct, frozen=True, tag="web_search", forbid_unknown_fields=True):
    """A search the provider made by itself."""

    query: str


Part = Text | Reasoning | FunctionCall | CustomCall | WebSearch


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One reply: what is said, what it cost, and what goes wrong on the way.

    Events are counted from the first, `response.created`, which is event 1.
    """

    parts: Sequence[Part] = ()
    times: int = 1
    """In a sequence: give this answer to so many requests before going to the next."""

    input_tokens: int = 100
    cached_tokens: int = 0
    output_tokens: int = 10
    reasoning_tokens: int = 0

    status: int = 200
    """Any other status sends `body` instead of events."""
    headers: Mapping[str, str] = {}
    body: str | None = None
    """Sent as it is instead of events, also with status 200 (plain JSON, malformed streams)."""
    events: Sequence[dict[str, Any]] | None = None
    """Sent as server-sent events instead of those of `parts`."""

    failed: tuple[str, str] | None = None
    """End with `response.failed`: code and message."""
    incomplete: str | None = None
    """End with `response.incomplete`: the reason."""
    malformed: str | None = None
    """Bytes sent after the parts, in place of the last event."""

    close_before_headers: bool = False
    cut_after: int | None = None
    """Close the connection after so many events."""
    cut: Literal["abrupt", "clean", "inside"] = "abrupt"
    """Without the end of the HTTP body; with it; or half-way through the next event."""
    stall_after: int | None = None
    """After so many events each further one waits for `Received.let`."""
    delay_s: float = 0
    """Wait before the first byte of the reply."""
    gap_s: float = 0
    """Wait before each event."""
    end_delay_s: float = 0
    """Wait between the last event and the end of the HTTP body."""
    chunk_bytes: int | None = None
    """Write the stream in pieces of so many bytes, whatever they split."""


Step = Answer | Part | Sequence[Part]
Script = Sequence[Step] | Callable[["Received"], Step]


def answer(*parts: Part, **settings: Any) -> Answer:
    """Return an answer of `parts`; `settings` are the fields of `Answer`."""
    return Answer(parts, **settings)


def as_answer(step: Step) -> Answer:
    """Return the answer that a step of a script stands for."""
    if isinstance(step, Answer):
        return step
    if isinstance(step, Part):
        return Answer((step,))
    return Answer(tuple(step))


def say(text: str, *, deltas: int = 1, phase: str | None = None) -> Text:
    """A message."""
    return Text(text, deltas, phase)


def think(summary: str, *, encrypted: str | None = "gAAAA-scripted", raw: str = "") -> Reasoning:
    """A reasoning item."""
    return Reasoning(summary, encrypted, raw)


def call(name: str, arguments: str | None = None, /, **fields: Any) -> FunctionCall:
    """A function call: arguments by keyword, or one string sent as it is."""
    return FunctionCall(name, fields if arguments is None else arguments)


def custom(name: str, text: str) -> CustomCall:
    """A freeform call."""
    return CustomCall(name, text)


def search(query: str) -> WebSearch:
    """A hosted web search."""
    return WebSearch(query)


def refuse(
    status: int,
    message: str = "Scripted refusal.",
    *,
    code: str | None = None,
    kind: str = "scripted",
    headers: Mapping[str, str] | None = None,
    times: int = 1,
) -> Answer:
    """An HTTP error with a body as OpenAI writes it."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    body = msgspec.json.encode({"error": error}).decode()
    return Answer(status=status, headers=headers or {}, body=body, times=times)


def fail(code: str, message: str = "Scripted failure.", *parts: Part) -> Answer:
    """`parts`, then `response.failed`."""
    return Answer(parts, failed=(code, message))


def cut(*parts: Part, after: int, how: Literal["abrupt", "clean", "inside"] = "abrupt") -> Answer:
    """`parts`, cut off after so many events."""
    return Answer(parts, cut_after=after, cut=how)


def stall(*parts: Part, after: int) -> Answer:
    """`parts`, silent after so many events until `Received.let` or the client closes."""
    return Answer(parts, stall_after=after)


def garble(raw: str, *parts: Part) -> Answer:
    """`parts`, then `raw` in place of the last event."""
    return Answer(parts, malformed=raw)


def hang_up() -> Answer:
    """Close the connection without a byte."""
    return Answer(close_before_headers=True)
