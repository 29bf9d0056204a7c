"""Making a request out of a history of 200,000 tokens: at first, at each step, after a compaction.

In this process, with the real fold, transcript and encoder; there is nothing of Codex to put beside
it. "At each step" is what every request of a long thread costs before it is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import msgspec
from harness import MS, Bench, Row

from octavo.agent.transcript import Transcript
from octavo.model import Prompt
from octavo.model.providers.responses import body_of
from octavo.protocol.events import (
    Added,
    CallEnded,
    Compacted,
    CompactionUndone,
    Event,
    ItemAdded,
    Kept,
    StepEnded,
    ThreadStarted,
    TurnStarted,
    UserSpoke,
)
from octavo.protocol.fold import Thread, fold

STEPS = 900
OUTPUT_BYTES = 700
"""Of one step's command: with the rest of the step 1,000 bytes, or 250 tokens."""
TIMES = 50


def measure(bench: Bench) -> list[Row]:
    """Measure all of it in this process."""
    del bench
    thread = fold(_events())
    size_tokens = sum(map(len, Transcript(thread).items())) // 4
    assert size_tokens >= 200_000, size_tokens
    first = _median_ms(lambda: _body(Transcript(thread)))
    transcript = Transcript(thread)
    _body(transcript)
    each = _median_ms(lambda: _step(thread, transcript))
    half = len(thread.history) // 2
    shown = (Added(_item("message", text="x" * 4000)), Kept(half, len(thread.history)))
    made = Compacted(
        "turn", "c", 0, "local", "asked", len(thread.history), shown, {}, size_tokens, 100_000
    )
    compacted = _median_ms(lambda: _applied(thread, transcript, made))
    undone = _median_ms(lambda: _undone(thread, transcript, made))
    note = f"{size_tokens:,} tokens, {len(thread.history):,} items"
    rows = (
        ("Prompt of a 200,000-token history, at each step", each, 5.0, note),
        ("… the first after it was read", first, 5.0, ""),
        ("… the first after a compaction", compacted, 5.0, ""),
        ("… the first after it was undone", undone, 5.0, ""),
    )
    return [Row(name, "ms", {"octavo": value}, goal, None, why) for name, value, goal, why in rows]


def _median_ms(work: Callable[[], float]) -> float:
    return median(work() for _ in range(TIMES)) * MS


def _body(transcript: Transcript) -> float:
    """Make a request's body; return how long it took."""
    began = time.perf_counter()
    items = transcript.items()
    body_of(Prompt("m", items, b"[]", "t"), items)
    transcript.tokens(0)
    return time.perf_counter() - began


def _step(thread: Thread, transcript: Transcript) -> float:
    for event in _step_events(f"more {len(thread.history)}"):
        thread.apply(event)
    return _body(transcript)


def _applied(thread: Thread, transcript: Transcript, made: Compacted) -> float:
    if thread.cut.made is not None:
        thread.apply(CompactionUndone("c", 0))
        _body(transcript)
    thread.apply(made)
    return _body(transcript)


def _undone(thread: Thread, transcript: Transcript, made: Compacted) -> float:
    if thread.cut.made is None:
        thread.apply(made)
        _body(transcript)
    thread.apply(CompactionUndone("c", 0))
    return _body(transcript)


def _events() -> list[Event]:
    events: list[Event] = [
        ThreadStarted("t", "/w", 0, "0", "m", "p"),
        TurnStarted("turn", 0, "m", "p", "/w", "read-only", "never"),
        UserSpoke("turn", "u", 0, _item("message", text="go")),
    ]
    for number in range(STEPS):
        events += _step_events(str(number))
    return events


def _step_events(name: str) -> list[Event]:
    call = _item("function_call", call_id=name, name="exec_command", arguments='{"cmd":"make"}')
    output = _item("function_call_output", call_id=name, output="x" * OUTPUT_BYTES)
    return [
        ItemAdded("turn", f"m{name}", "message", 0, _item("message", text="Now this, then that.")),
        ItemAdded("turn", name, "function_call", 0, call, name, "exec_command"),
        StepEnded("turn", 0),
        CallEnded("turn", name, 0, output),
    ]


def _item(kind: str, **fields: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": kind, **fields}))
