"""What `octavo exec --json` prints: one JSON object a line, the set that Codex's SDKs read.

Every item that is started is completed, and the last line of a turn is `turn.completed` or
`turn.failed`. Shapes: `codex exec --json` 0.169 and its TypeScript SDK; octavo adds the fields
`diff` of a change, `exit_code` where a command was cut, and what the turn took: `turn_usage` and,
where they are known, `cost_usd` of the thread and `turn_cost_usd`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from octavo.faces.exec.commands import not_started, said
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.hooks import HookRun
from octavo.protocol.usage import Usage

JsonEvent = dict[str, Any]

_STARTS = (it.CommandExecution, it.FileChange, it.McpToolCall)
_STATUS = {"inProgress": "in_progress"}


class JsonEvents:
    """Turns the notifications of one thread into the lines of one turn."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._plan: str | None = None
        self._plan_items: list[JsonEvent] = []
        self._total = Usage()
        self._turn = Usage()
        self._cost: JsonEvent = {}
        self._error = "The turn failed."

    def thread_started(self, thread_id: str) -> JsonEvent:
        return {"type": "thread.started", "thread_id": thread_id}

    def __call__(self, notification: note.Notification) -> Iterator[JsonEvent]:
        """Give the lines for `notification`, which may be none."""
        match notification:
            case note.TurnStarted():
                yield {"type": "turn.started"}
            case note.ItemStarted():
                if isinstance(notification.item, _STARTS):
                    yield from self._item("item.started", notification.item)
            case note.ItemCompleted():
                yield from self._item("item.completed", notification.item)
            case note.PlanUpdated():
                yield self._plan_updated(notification)
            case note.ErrorHappened():
                if notification.will_retry:
                    yield {"type": "error", "message": notification.error.message}
                else:
                    self._error = notification.error.message
            case note.Warned():
                yield self._warning(notification.message)
            case note.HookCompleted():
                yield from self._hook_done(notification.run)
            case note.TokenUsageUpdated():
                self._total = notification.token_usage.total
                self._turn = notification.token_usage.octavo_turn or notification.token_usage.last
            case note.TurnCompleted():
                yield from self._ended(notification.turn)
            case (
                note.ThreadStarted()
                | note.ThreadStatusChanged()
                | note.ThreadClosed()
                | note.ThreadNameUpdated()
                | note.ThreadArchived()
                | note.ThreadUnarchived()
                | note.ThreadDeleted()
                | note.HookStarted()
                | note.AgentMessageDelta()
                | note.ReasoningSummaryTextDelta()
                | note.ReasoningTextDelta()
                | note.CommandOutputDelta()
                | note.DiffUpdated()
                | note.Compacted()
                | note.ServerRequestResolved()
                | note.AccountUpdated()
                | note.LoginCompleted()
                | note.CommandExecOutput()
                | note.FsChanged()
                | note.ThreadReverted()
                | note.GoalUpdated()
                | note.GoalCleared()
                | note.McpToolCallProgress()
                | note.McpServerStatusUpdated()
                | note.McpOauthLoginCompleted()
                | note.FuzzySearchUpdated()
                | note.FuzzySearchCompleted()
            ):
                pass
            case _:
                assert_never(notification)

    def spent(self, spending: m.ThreadUsageResult) -> None:
        """Take what the thread cost, before the notification that its turn ended."""
        turn = spending.turn
        costs = {
            "cost_usd": spending.total.cost_usd,
            "turn_cost_usd": None if turn is None else turn.cost_usd,
        }
        self._cost = {name: usd for name, usd in costs.items() if usd is not None}

    def goal_ended(self, goal: note.ThreadGoal) -> JsonEvent:
        """The last line of a run with a goal."""
        return {
            "type": "goal.ended",
            "status": goal.status,
            "reason": goal.octavo_reason,
            "tokens_used": goal.tokens_used,
            "token_budget": goal.token_budget,
            "time_used_seconds": goal.time_used_seconds,
        }

    def failed(self, message: str) -> JsonEvent:
        """The line that ends a turn that could not even begin."""
        return {"type": "turn.failed", "error": {"message": message}}

    def _id(self, item_id: str) -> str:
        return self._ids.setdefault(item_id, f"item_{len(self._ids)}")

    def _item(self, kind: str, item: it.ThreadItem) -> Iterator[JsonEvent]:
        shown = _shown(item)
        if shown is not None:
            yield {"type": kind, "item": {"id": self._id(item.id), **shown}}

    def _warning(self, message: str) -> JsonEvent:
        item_id = self._id(f"warning {len(self._ids)}")
        item = {"id": item_id, "type": "error", "message": message}
        return {"type": "item.completed", "item": item}

    def _hook_done(self, run: HookRun) -> Iterator[JsonEvent]:
        """What a hook said to the person, as warnings; these clients have no item for it."""
        name = f"{run.event_name[:1].upper()}{run.event_name[1:]}"
        for entry in run.entries:
            if entry.kind != "context":
                yield self._warning(f"The hook {name} ({run.status}): {entry.text}")

    def _plan_updated(self, plan: note.PlanUpdated) -> JsonEvent:
        self._plan_items = [
            {"text": step.step, "completed": step.status == "completed"} for step in plan.plan
        ]
        kind = "item.started" if self._plan is None else "item.updated"
        self._plan = self._id("plan")
        return {"type": kind, "item": self._plan_item()}

    def _plan_item(self) -> JsonEvent:
        return {"id": self._plan, "type": "todo_list", "items": self._plan_items}

    def _ended(self, turn: it.Turn) -> Iterator[JsonEvent]:
        if self._plan is not None:
            yield {"type": "item.completed", "item": self._plan_item()}
        if turn.status == "completed":
            yield {"type": "turn.completed", **self._spending()}
        elif turn.status == "interrupted":
            yield self.failed("The turn was interrupted.") | self._spending()
        else:
            message = turn.error.message if turn.error else self._error
            yield self.failed(message) | self._spending()

    def _spending(self) -> JsonEvent:
        return {"usage": _usage(self._total), "turn_usage": _usage(self._turn), **self._cost}


def _usage(usage: Usage) -> JsonEvent:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_input_tokens": usage.cache_write_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
    }


def _shown(item: it.ThreadItem) -> JsonEvent | None:
    """The item as the SDK reads it, without its id; None for what it has no item for."""
    match item:
        case it.AgentMessage():
            return {"type": "agent_message", "text": item.text}
        case it.Reasoning():
            text = "\n\n".join(item.summary)
            return {"type": "reasoning", "text": text} if text else None
        case it.CommandExecution():
            return {
                "type": "command_execution",
                "command": item.command,
                "aggregated_output": item.aggregated_output or "",
                "exit_code": item.exit_code,
                "status": _STATUS.get(item.status, item.status),
            }
        case it.FileChange():
            changes = [
                {
                    "path": change.path,
                    "kind": change.kind.type_,
                    "diff": change.diff,
                }
                for change in item.changes
            ]
            status = _STATUS.get(item.status, item.status)
            return {"type": "file_change", "changes": changes, "status": status}
        case it.McpToolCall():
            result, error = item.result, item.error
            return {
                "type": "mcp_tool_call",
                "server": item.server,
                "tool": item.tool,
                "arguments": item.arguments,
                "result": None
                if result is None
                else {
                    "content": result.content,
                    "structured_content": result.structured_content,
                },
                "error": None if error is None else {"message": error.message},
                "status": _STATUS.get(item.status, item.status),
            }
        case it.WebSearch():
            return {"type": "web_search", "query": item.query, "action": item.action}
        case it.DynamicToolCall():
            if item.success:
                return None
            command = not_started(item)
            if command is not None:
                return {
                    "type": "command_execution",
                    "command": command,
                    "aggregated_output": said(item),
                    "exit_code": None,
                    "status": "declined",
                }
            message = f"The model's call of {item.tool} failed: {said(item)}"
            return {"type": "error", "message": message}
        case it.UserMessage() | it.FunctionCallOutput() | it.ImageView() | it.ContextCompaction():
            return None
        case _:
            assert_never(item)
