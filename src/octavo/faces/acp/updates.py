"""What happens in a turn, as session updates: pieces of text, thoughts, tool calls, plans, usage.

A tool call is announced once and brought up to date after that. Text that came in pieces is not
said again when it is complete. When the turn ends, nothing is left in progress.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from acp import schema as acp
from acp.helpers import (
    plan_entry,
    start_tool_call,
    text_block,
    update_plan,
    update_tool_call,
)

from octavo.faces.acp.shown import Shown, shown, text_content
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.inputs import ImageUrl, LocalImage, Mention, Skill, Text, UserInput

Update = Any
"""One of the official package's session updates."""

TAIL_CHARACTERS = 8_000
"""Of a running command's output; its whole output, as the model is shown it, comes at its end."""
EVERY_S = 0.1
"""How often a running command's output is shown at most."""
_PLAN_WORDS: dict[str, Any] = {"inProgress": "in_progress"}


class Updates:
    """Turns the notifications of one turn into updates."""

    def __init__(self) -> None:
        self._in_pieces: set[str] = set()
        self._summary_part: dict[str, int] = {}
        self._open: dict[str, str] = {}
        self._tails: dict[str, str] = {}
        self._shown_at_s = 0.0

    def __call__(self, event: note.Notification) -> Iterator[Update]:
        """Give the updates for `event`, which may be none."""
        match event:
            case note.AgentMessageDelta():
                self._in_pieces.add(event.item_id)
                yield message(event.delta, event.item_id)
            case note.ReasoningSummaryTextDelta():
                yield thought(self._summary(event), event.item_id)
            case note.ReasoningTextDelta():
                self._in_pieces.add(event.item_id)
                yield thought(event.delta, event.item_id)
            case note.ItemStarted():
                one = shown(event.item)
                if one is not None:
                    yield self.tool(one)
            case note.ItemCompleted(item=it.UserMessage()):
                pass
            case note.ItemCompleted():
                yield from self.item(event.item)
            case note.CommandOutputDelta():
                yield from self._output(event)
            case note.PlanUpdated():
                words = [(one.step, _PLAN_WORDS.get(one.status, one.status)) for one in event.plan]
                yield update_plan(plan_entry(step, status=word) for step, word in words)
            case note.TokenUsageUpdated():
                size = event.token_usage.model_context_window
                if size is not None:
                    used = event.token_usage.last.total_tokens
                    yield acp.UsageUpdate(session_update="usage_update", used=used, size=size)
            case note.Warned():
                yield thought(f"{event.message}\n")
            case note.ErrorHappened(will_retry=True):
                yield thought(f"{event.error.message} Trying again.\n")
            case note.HookCompleted():
                for entry in event.run.entries:
                    if entry.kind != "context":
                        yield thought(f"The hook {event.run.event_name}: {entry.text}\n")
            case note.TurnCompleted():
                yield from self._end(event.turn)
            case _:
                pass

    def item(self, item: it.ThreadItem) -> Iterator[Update]:
        """Give the updates for an item that is complete, what was said in pieces left out."""
        match item:
            case it.UserMessage():
                for part in item.content:
                    block = user_block(part)
                    yield acp.UserMessageChunk(
                        session_update="user_message_chunk", content=block, message_id=item.id
                    )
            case it.AgentMessage():
                if item.id not in self._in_pieces and item.text:
                    yield message(item.text, item.id)
            case it.Reasoning():
                text = "\n\n".join(item.summary or item.content)
                if item.id not in self._in_pieces and text:
                    yield thought(text, item.id)
            case _:
                one = shown(item)
                if one is not None:
                    yield self.tool(one)

    def tool(self, one: Shown) -> Update:
        """Return what announces a tool call, or brings it up to date."""
        known = one.id in self._open
        if one.status in ("completed", "failed"):
            self._open[one.id] = ""
            self._tails.pop(one.id, None)
        else:
            self._open[one.id] = one.title
        more: dict[str, Any] = {
            "kind": one.kind,
            "status": one.status,
            "content": one.content or None,
            "locations": one.places or None,
            "raw_input": one.raw_input,
            "raw_output": one.raw_output,
        }
        if known:
            return update_tool_call(one.id, title=one.title, **more)
        return start_tool_call(one.id, one.title, **more)

    def _summary(self, event: note.ReasoningSummaryTextDelta) -> str:
        """Parts of a summary are paragraphs."""
        self._in_pieces.add(event.item_id)
        before = self._summary_part.get(event.item_id, event.summary_index)
        self._summary_part[event.item_id] = event.summary_index
        return event.delta if before == event.summary_index else f"\n\n{event.delta}"

    def _output(self, event: note.CommandOutputDelta) -> Iterator[Update]:
        if not self._open.get(event.item_id):
            return
        tail = (self._tails.get(event.item_id, "") + event.delta)[-TAIL_CHARACTERS:]
        self._tails[event.item_id] = tail
        now_s = time.monotonic()
        if now_s - self._shown_at_s >= EVERY_S:
            self._shown_at_s = now_s
            yield update_tool_call(event.item_id, content=text_content(tail))

    def _end(self, turn: it.Turn) -> Iterator[Update]:
        """What runs on in the background, or was cut off, is not followed any more."""
        status: Any = "completed" if turn.status == "completed" else "failed"
        for tool_id, title in self._open.items():
            if title:
                tail = self._tails.get(tool_id, "")
                said = "It goes on in the background." if status == "completed" else "Cut off."
                yield update_tool_call(
                    tool_id, status=status, content=text_content(f"{tail}\n({said})".lstrip())
                )


def message(text: str, item_id: str | None = None) -> Update:
    """A piece of what octavo says."""
    return acp.AgentMessageChunk(
        session_update="agent_message_chunk", content=text_block(text), message_id=item_id
    )


def thought(text: str, item_id: str | None = None) -> Update:
    """A piece of what octavo thinks, or notes beside its work."""
    return acp.AgentThoughtChunk(
        session_update="agent_thought_chunk", content=text_block(text), message_id=item_id
    )


def user_block(part: UserInput) -> Any:
    """Return a part of what the person said as it was said."""
    match part:
        case Text():
            return text_block(part.text)
        case ImageUrl(url) if url.startswith("data:"):
            kind, _, data = url.removeprefix("data:").partition(";base64,")
            return acp.ImageContentBlock(type="image", mime_type=kind, data=data)
        case ImageUrl():
            return text_block(part.url)
        case LocalImage():
            return text_block(part.path)
        case Skill() | Mention():
            uri = f"file://{part.path}"
            return acp.ResourceContentBlock(type="resource_link", name=part.name, uri=uri)
