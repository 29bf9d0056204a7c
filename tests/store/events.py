"""Events to write, for the tests of the store."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from octavo.protocol.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    EditIntent,
    Event,
    FileEdit,
    ItemAdded,
    Noticed,
    RunIntent,
    ThreadStarted,
    TurnEnded,
    UserSpoke,
)

THREAD_ID = "01a202fc-63ba-72ab-9491-a1a86ad8df7a"
AT_MS = 1_790_000_000_000


def started(thread_id: str = THREAD_ID, cwd: str = "/work/tree", at_ms: int = AT_MS) -> Event:
    return ThreadStarted(thread_id, cwd, at_ms, "0.1.0", "model", "provider")


def said(text: str) -> Event:
    message = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text}],
    }
    return UserSpoke("t1", "i1", AT_MS, msgspec.Raw(msgspec.json.encode(message)))


def noticed(number: int, padding_bytes: int = 0) -> Event:
    return Noticed(AT_MS, f"{number} " + "x" * padding_bytes)


def number_of(event: Event) -> int:
    assert isinstance(event, Noticed)
    return int(event.message.split()[0])


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_raws = st.dictionaries(_texts, _texts | st.integers(-9, 9) | st.none(), max_size=3).map(
    lambda value: msgspec.Raw(msgspec.json.encode(value))
)
_edits = st.builds(FileEdit, _texts, st.sampled_from(["add", "delete", "update"]), _texts)

later_events: st.SearchStrategy[Event] = st.one_of(
    st.builds(UserSpoke, _texts, _texts, st.just(AT_MS), _raws),
    st.builds(ItemAdded, _texts, _texts, _texts, st.just(AT_MS), _raws, _texts, st.none() | _texts),
    st.builds(CallStarted, _texts, _texts, st.just(AT_MS), st.builds(RunIntent, _texts, _texts)),
    st.builds(
        CallStarted,
        _texts,
        _texts,
        st.just(AT_MS),
        st.builds(EditIntent, st.lists(_edits, max_size=2).map(tuple)),
    ),
    st.builds(
        CallEnded,
        _texts,
        _texts,
        st.just(AT_MS),
        _raws,
        st.booleans(),
        st.none() | st.builds(CallFacts, st.integers(0, 255)),
    ),
    st.builds(Noticed, st.just(AT_MS), _texts),
    st.builds(TurnEnded, _texts, st.just(AT_MS), st.just("failed"), _texts),
)
