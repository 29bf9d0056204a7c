"""Histories of every kind, for the wires that have to say them."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

Item = dict[str, Any]

TEXTS = st.text(max_size=6) | st.sampled_from(["", " ", "Hi.", "ä\n🎵", '"octavo":{}'])
IDS = st.sampled_from(["c1", "c1", "functions.f:0", "functions.f:0", "x" * 70, ""])
IMAGE = "data:image/png;base64,iVBO"


def _content() -> st.SearchStrategy[Any]:
    text = st.builds(lambda t: {"type": "input_text", "text": t}, TEXTS)
    image = st.just({"type": "input_image", "image_url": IMAGE})
    return TEXTS | st.lists(text | image, max_size=3)


def _marks() -> st.SearchStrategy[Item]:
    providers = st.sampled_from(["trial", "other"])
    return st.one_of(
        st.builds(lambda p: {"provider": p}, providers),
        st.builds(lambda p, s: {"provider": p, "signature": s}, providers, TEXTS),
        st.builds(lambda p: {"provider": p, "redacted": "EmwK"}, providers),
        st.builds(lambda p: {"provider": p, "field": "reasoning_content"}, providers),
    )


def _reasoning(mark: Item, text: str) -> Item:
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "summary": summary, "octavo": mark}


_CALLS = st.builds(
    lambda i, a: {"type": "function_call", "call_id": i, "name": "f", "arguments": a},
    IDS,
    st.sampled_from(["{}", '{"a":1}', "", "{bad", "[1]"]),
)
_OUTPUTS = st.builds(
    lambda i, c: {"type": "function_call_output", "call_id": i, "output": c}, IDS, _content()
)

ITEMS: st.SearchStrategy[Item] = st.one_of(
    _CALLS,
    _CALLS,
    _OUTPUTS,
    _OUTPUTS,
    st.builds(
        lambda role, content: {"type": "message", "role": role, "content": content},
        st.sampled_from(["user", "assistant", "developer"]),
        _content(),
    ),
    st.builds(_reasoning, _marks(), TEXTS),
    st.just({"type": "reasoning", "summary": [], "encrypted_content": "gAAAA", "id": "rs_1"}),
    st.builds(
        lambda i, t: {"type": "custom_tool_call", "call_id": i, "name": "p", "input": t},
        IDS,
        TEXTS,
    ),
    st.builds(
        lambda i, c: {"type": "custom_tool_call_output", "call_id": i, "output": c}, IDS, TEXTS
    ),
    st.just({"type": "web_search_call", "id": "ws_1", "action": {"query": "x"}}),
    st.just({"type": "compaction", "encrypted_content": "gAAAA"}),
    st.just({"type": "message", "role": 7}),
)

HISTORIES = st.lists(ITEMS, max_size=14).map(lambda items: [msgspec.json.encode(i) for i in items])


def ordinary(steps: int, text: str = "x" * 3000) -> list[bytes]:
    """A thread of so many steps, each a thought, a message, two calls and their outputs."""
    items: list[Item] = [
        {"type": "message", "role": "developer", "content": "Base."},
        {"type": "message", "role": "user", "content": "Go."},
    ]
    for step in range(steps):
        items.append(_reasoning({"provider": "trial", "signature": "s"}, "Hm."))
        said = [{"type": "output_text", "text": f"Step {step}."}]
        items.append({"type": "message", "role": "assistant", "content": said})
        ids = [f"call_{step}_{n}" for n in range(2)]
        items += [
            {"type": "function_call", "call_id": i, "name": "f", "arguments": '{"cmd":"ls"}'}
            for i in ids
        ]
        items += [{"type": "function_call_output", "call_id": i, "output": text} for i in ids]
    return [msgspec.json.encode(item) for item in items]
