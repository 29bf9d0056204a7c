"""Events as the wire tells them: what happened, turned into notifications and items.

`Projection` follows one thread. It is deterministic, does no input or output, and keeps only what
is still open, so that following a year-long thread costs no more memory than a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from octavo.protocol import events as ev
from octavo.protocol import items as it
from octavo.protocol import notifications as note
from octavo.protocol.questions import InputQuestion
from octavo.protocol.show import (
    change_of,
    decode_item,
    error_info,
    file_diff,
    mcp_call,
    mcp_ended,
    mcp_refused,
    output_shown,
    plan_word,
    search_action,
    text_of,
    user_inputs,
)
from octavo.protocol.usage import Usage


class _Call:
    """A call whose item is not complete yet."""

    __slots__ = ("arguments", "item", "name", "turn_id")

    def __init__(self, turn_id: str, name: str, arguments: str) -> None:
        self.turn_id = turn_id
        self.name = name
        self.arguments = arguments
        self.item: it.CommandExecution | it.FileChange | it.McpToolCall | None = None


class Projection:
    """Turns the events of one thread into notifications, in order."""

    def __init__(
        self,
        thread_id: str,
        *,
        context_window_tokens: int | None = None,
        total: Usage | None = None,
        last: Usage | None = None,
    ) -> None:
        self._thread_id = thread_id
        self._window = context_window_tokens
        self._began: dict[str, int] = {}
        self._compacting: str | None = None
        self._calls: dict[str, _Call] = {}
        self._turn_started_ms = 0
        self._turn_id: str | None = None
        self._usage_is_news = False
        self._total = total or Usage()
        self._last = last or Usage()
        self._turn_usage = Usage()
        self._diff: list[str] = []
        self._shells: dict[str, tuple[str, it.CommandExecution]] = {}

    def __call__(self, event: ev.Event) -> Iterator[note.Notification]:
        """Give the notifications `event` makes, which may be none."""
        match event:
            case ev.Delta():
                yield self._delta(event)
            case ev.Progress():
                yield self._progress(event)
            case ev.ItemBegan():
                yield from self._item_began(event)
            case ev.ItemAdded():
                yield from self._item_added(event)
            case ev.UserSpoke():
                yield from self._whole(event.turn_id, said_item(event), event.at_ms)
            case ev.CallStarted():
                yield from self._call_started(event)
            case ev.CallEnded():
                yield from self._call_ended(event)
            case ev.ProcessEnded():
                yield from self._process_ended(event)
            case ev.StepEnded():
                if event.usage is not None:
                    self._spent(event.usage, "turn")
                yield from self._usage_told()
            case ev.Spent():
                self._spent(event.usage, event.purpose, estimated=event.estimated)
                if event.purpose != "turn":  # a step's is told when its items have been
                    yield from self._usage_told()
            case ev.TurnStarted():
                yield from self._turn_started(event)
            case ev.TurnEnded():
                yield from self._turn_ended(event)
            case ev.Retrying():
                yield from self._usage_told()
                self._began = {i: at for i, at in self._began.items() if i == self._compacting}
                error = it.TurnError(event.message, error_info(event.info, event.status))
                yield note.ErrorHappened(error, True, self._thread_id, event.turn_id)
            case ev.Noticed():
                yield note.Warned(event.message, self._thread_id, event.code)
            case ev.HookStarted():
                yield note.HookStarted(self._thread_id, event.turn_id, event.run)
            case ev.HookEnded():
                yield note.HookCompleted(self._thread_id, event.turn_id, event.run)
            case ev.QuestionAsked(of="reviewer"):
                pass
            case ev.QuestionAsked():
                flag = (
                    "waitingOnUserInput"
                    if isinstance(event.question, InputQuestion)
                    else "waitingOnApproval"
                )
                yield self._status("active", (flag,))
            case ev.QuestionAnswered():
                if event.usage is not None:
                    self._total = self._total.plus(event.usage)
                    self._turn_usage = self._turn_usage.plus(event.usage)
                yield self._status("active", ())
            case ev.Compacted():
                yield from self._compacted(event)
            case ev.CompactionUndone(by="model"):
                said = (
                    "The thread was summed up in a form that only the model before can read, so "
                    "this one is shown what it replaced."
                )
                yield note.Warned(said, self._thread_id, "compaction.undone")
            case ev.CompactionUndone():
                said = "The last compaction was undone: the model is shown what it replaced."
                yield note.Warned(said, self._thread_id, "compaction.undone")
            case ev.ServerTold():
                yield note.McpServerStatusUpdated(
                    event.name, event.status, event.error, self._thread_id
                )
            case ev.TurnsUndone() | ev.UndoUndone():
                yield note.Warned(_undone(event), self._thread_id, "turns.undone")
                if isinstance(event, ev.UndoUndone) or event.conversation:
                    yield note.ThreadReverted(self._thread_id)
            case ev.ThreadStarted() | ev.ThreadNamed() | ev.ContextAdded():
                pass
            case ev.Pinned() | ev.Unpinned() | ev.SnapshotTaken():
                pass
            case ev.ShellStarted():
                yield self._shell_started(event)
            case ev.ShellEnded():
                yield from self._shell_ended(event)
            case ev.Injected():
                pass
            case ev.GoalSet() | ev.GoalCleared():  # told with what was spent: see `followers`
                pass
            case _:
                assert_never(event)

    def _status(self, word: Any, flags: tuple[str, ...] | None = None) -> note.Notification:
        status = it.ThreadStatus(word, msgspec.UNSET if flags is None else flags)
        return note.ThreadStatusChanged(self._thread_id, status)

    def _started(self, turn_id: str, item: it.ThreadItem, at_ms: int) -> note.ItemStarted:
        return note.ItemStarted(self._thread_id, turn_id, item, at_ms)

    def _completed(self, turn_id: str, item: it.ThreadItem, at_ms: int) -> note.ItemCompleted:
        return note.ItemCompleted(self._thread_id, turn_id, item, at_ms)

    def _whole(self, turn_id: str, item: it.ThreadItem, at_ms: int) -> Iterator[note.Notification]:
        item = msgspec.structs.replace(item, started_at_ms=at_ms)
        yield self._started(turn_id, item, at_ms)
        yield self._completed(turn_id, msgspec.structs.replace(item, completed_at_ms=at_ms), at_ms)

    def _delta(self, event: ev.Delta) -> note.Notification:
        where = (self._thread_id, event.turn_id, event.item_id, event.text)
        match event.channel:
            case "text":
                return note.AgentMessageDelta(*where)
            case "summary":
                return note.ReasoningSummaryTextDelta(*where, event.part)
            case "reasoning":
                return note.ReasoningTextDelta(*where, event.part)

    def _progress(self, event: ev.Progress) -> note.Notification:
        call = self._calls.get(event.call_id)
        where = (self._thread_id, event.turn_id, event.call_id, event.text)
        if call is not None and isinstance(call.item, it.McpToolCall):
            return note.McpToolCallProgress(*where)
        return note.CommandOutputDelta(*where)

    def _item_began(self, event: ev.ItemBegan) -> Iterator[note.Notification]:
        self._began[event.item_id] = event.at_ms
        item: it.ThreadItem
        if event.kind == "message":
            item = it.AgentMessage(id=event.item_id, text="", started_at_ms=event.at_ms)
        elif event.kind == "reasoning":
            item = it.Reasoning(id=event.item_id, started_at_ms=event.at_ms)
        elif event.kind == "compaction":
            self._compacting = event.item_id
            item = it.ContextCompaction(id=event.item_id, started_at_ms=event.at_ms)
        else:
            return
        yield self._started(event.turn_id, item, event.at_ms)

    def _item_added(self, event: ev.ItemAdded) -> Iterator[note.Notification]:
        raw = decode_item(event.raw)
        if event.call_id is not None:
            self._calls[event.call_id] = _Call(
                event.turn_id, event.name or "", raw.arguments or raw.input
            )
            return
        item: it.ThreadItem
        match event.kind:
            case "message":
                item = it.AgentMessage(id=event.item_id, text=text_of(raw.content), phase=raw.phase)
            case "reasoning":
                item = it.Reasoning(
                    id=event.item_id,
                    summary=tuple(part.text for part in raw.summary or ()),
                    content=tuple(part.text for part in raw.content or ()),
                )
            case "web_search_call":
                action = raw.action or {}
                query = action.get("query") or action.get("url") or ""
                item = it.WebSearch(
                    id=event.item_id, query=str(query), action=search_action(action)
                )
            case _:
                return
        yield from self._shown(event.turn_id, item, event.at_ms)

    def _shown(self, turn_id: str, item: it.ThreadItem, at_ms: int) -> Iterator[note.Notification]:
        """An item that is complete, whether or not it was seen to begin."""
        began_ms = self._began.pop(item.id, None)
        if began_ms is None:
            yield from self._whole(turn_id, item, at_ms)
            return
        item = msgspec.structs.replace(item, started_at_ms=began_ms, completed_at_ms=at_ms)
        yield self._completed(turn_id, item, at_ms)

    def _call_started(self, event: ev.CallStarted) -> Iterator[note.Notification]:
        call = self._calls.get(event.call_id)
        if call is None:
            return
        match event.intent:
            case ev.RunIntent():
                call.item = it.CommandExecution(
                    id=event.call_id,
                    command=event.intent.command,
                    cwd=event.intent.cwd,
                    status="inProgress",
                    started_at_ms=event.at_ms,
                )
            case ev.EditIntent():
                call.item = it.FileChange(
                    id=event.call_id,
                    changes=tuple(change_of(edit) for edit in event.intent.changes),
                    status="inProgress",
                    started_at_ms=event.at_ms,
                )
            case ev.ToolIntent():
                call.item = mcp_call(event, call.name, call.arguments)
        yield self._started(event.turn_id, call.item, event.at_ms)

    def _call_ended(self, event: ev.CallEnded) -> Iterator[note.Notification]:
        call = self._calls.get(event.call_id)
        if call is None:
            return
        output = decode_item(event.raw).output
        text = output if isinstance(output, str) else text_of(output)
        if isinstance(call.item, it.CommandExecution) and event.facts is not None:
            if event.facts.running:
                call.item = msgspec.structs.replace(
                    call.item,
                    process_id=str(event.facts.session_id),
                    aggregated_output=output_shown(text),
                )
                return
            del self._calls[event.call_id]
            yield self._command_done(call, event.at_ms, event.facts, output_shown(text))
            return
        del self._calls[event.call_id]
        declined = event.facts is not None and event.facts.declined
        status: it.Status = "completed" if event.ok else "declined" if declined else "failed"
        match call.item:
            case it.CommandExecution():
                failed = msgspec.structs.replace(
                    call.item, status=status, aggregated_output=text, completed_at_ms=event.at_ms
                )
                yield self._completed(event.turn_id, failed, event.at_ms)
            case it.FileChange():
                done = msgspec.structs.replace(
                    call.item, status=status, completed_at_ms=event.at_ms
                )
                yield self._completed(event.turn_id, done, event.at_ms)
                if event.ok:
                    self._diff.extend(file_diff(change) for change in done.changes)
                    yield note.DiffUpdated(self._thread_id, event.turn_id, "".join(self._diff))
            case it.McpToolCall():
                ended = mcp_ended(call.item, event, text)
                yield self._completed(event.turn_id, ended, event.at_ms)
            case None:
                yield from self._plain_call(call, event, text)

    def _plain_call(
        self, call: _Call, event: ev.CallEnded, text: str
    ) -> Iterator[note.Notification]:
        """A call without an item of its own: a plan, an image, a mistake."""
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except msgspec.DecodeError:
            arguments = call.arguments
        if event.ok and call.name == "update_plan":
            steps = arguments.get("plan", [])
            yield note.PlanUpdated(
                self._thread_id,
                event.turn_id,
                arguments.get("explanation"),
                tuple(note.PlanStep(step["step"], plan_word(step["status"])) for step in steps),
            )
            return
        if event.ok and call.name == "view_image":
            item = it.ImageView(id=event.call_id, path=str(arguments.get("path")))
            yield from self._whole(event.turn_id, item, event.at_ms)
            return
        if event.ok and call.name == "write_stdin":
            return
        if call.name.startswith("mcp__"):
            refused = mcp_refused(event, call.name, arguments, text)
            yield from self._whole(event.turn_id, refused, event.at_ms)
            return
        yield from self._whole(
            event.turn_id,
            it.DynamicToolCall(
                id=event.call_id,
                tool=call.name,
                arguments=arguments,
                status="completed" if event.ok else "failed",
                content_items=({"type": "inputText", "text": text},),
                success=event.ok,
            ),
            event.at_ms,
        )

    def _process_ended(self, event: ev.ProcessEnded) -> Iterator[note.Notification]:
        call = self._calls.pop(event.call_id, None)
        if call is None or not isinstance(call.item, it.CommandExecution):
            return
        yield self._command_done(call, event.at_ms, event.facts, call.item.aggregated_output)

    def _command_done(
        self, call: _Call, at_ms: int, facts: ev.CallFacts, output: str | None
    ) -> note.Notification:
        assert isinstance(call.item, it.CommandExecution)
        status: it.Status = (
            "declined" if facts.declined else "completed" if facts.exit_code == 0 else "failed"
        )
        return self._completed(
            call.turn_id,
            msgspec.structs.replace(
                call.item,
                status=status,
                exit_code=facts.exit_code,
                duration_ms=facts.duration_ms,
                aggregated_output=output,
                completed_at_ms=at_ms,
            ),
            at_ms,
        )

    def _shell_started(self, event: ev.ShellStarted) -> note.Notification:
        item = it.CommandExecution(
            id=event.item_id,
            command=event.command,
            cwd=event.cwd,
            status="inProgress",
            source="userShell",
            started_at_ms=event.at_ms,
        )
        self._shells[event.item_id] = (event.turn_id, item)
        return self._started(event.turn_id, item, event.at_ms)

    def _shell_ended(self, event: ev.ShellEnded) -> Iterator[note.Notification]:
        turn_id, item = self._shells.pop(event.item_id, ("", None))
        if item is not None:
            yield self._completed(turn_id, shell_done(item, event), event.at_ms)

    def _spent(self, usage: Usage, purpose: str, *, estimated: bool = False) -> None:
        """Count; "last" is the last whole response of the turn itself, which fills the window."""
        self._total = self._total.plus(usage)
        self._turn_usage = self._turn_usage.plus(usage)
        if purpose == "turn" and not estimated:
            self._last = usage
        self._usage_is_news = True

    def _usage_told(self) -> Iterator[note.Notification]:
        if self._usage_is_news and self._turn_id is not None:
            told = note.TokenUsage(self._total, self._last, self._window, self._turn_usage)
            yield note.TokenUsageUpdated(self._thread_id, self._turn_id, told)
        self._usage_is_news = False

    def _compacted(self, event: ev.Compacted) -> Iterator[note.Notification]:
        item = it.ContextCompaction(
            id=event.item_id,
            octavo_kind=event.kind,
            octavo_tokens_before=event.before_tokens,
            octavo_tokens_after=event.after_tokens,
        )
        yield from self._shown(event.turn_id, item, event.at_ms)
        yield note.Compacted(self._thread_id, event.turn_id)
        if event.usage is not None:
            self._total = self._total.plus(event.usage)
            self._turn_usage = self._turn_usage.plus(event.usage)
        last = Usage(total_tokens=event.after_tokens)
        usage = note.TokenUsage(self._total, last, self._window, self._turn_usage)
        yield note.TokenUsageUpdated(self._thread_id, event.turn_id, usage)

    def _turn_started(self, event: ev.TurnStarted) -> Iterator[note.Notification]:
        self._turn_id = event.turn_id
        self._turn_started_ms = event.at_ms
        self._turn_usage = Usage()
        self._diff.clear()
        yield self._status("active", ())
        turn = it.Turn(event.turn_id, started_at=event.at_ms // 1000, root_turn_id=event.turn_id)
        yield note.TurnStarted(self._thread_id, turn)

    def _turn_ended(self, event: ev.TurnEnded) -> Iterator[note.Notification]:
        yield from self._usage_told()
        self._began.clear()
        for call_id, call in list(self._calls.items()):
            if isinstance(call.item, it.CommandExecution) and call.item.process_id is not None:
                continue
            del self._calls[call_id]
            if call.item is not None:
                item = msgspec.structs.replace(
                    call.item, status="failed", completed_at_ms=event.at_ms
                )
                yield self._completed(call.turn_id, item, event.at_ms)
        status: Any = {"completed": "completed", "interrupted": "interrupted"}.get(
            event.outcome, "interrupted" if event.outcome == "crashed" else "failed"
        )
        error = None
        if status == "failed":
            error = it.TurnError(event.error or event.outcome, error_info(event.info, None))
            yield note.ErrorHappened(error, False, self._thread_id, event.turn_id)
        yield self._status("idle")
        turn = it.Turn(
            event.turn_id,
            status=status,
            error=error,
            started_at=self._turn_started_ms // 1000,
            completed_at=event.at_ms // 1000,
            duration_ms=event.at_ms - self._turn_started_ms,
            root_turn_id=event.turn_id,
        )
        yield note.TurnCompleted(self._thread_id, turn)


def said_item(event: ev.UserSpoke) -> it.UserMessage | it.FunctionCallOutput:
    """Return the item of what the user said, or another program."""
    external = event.external
    if external is None:
        content = user_inputs(bytes(event.raw))
        return it.UserMessage(id=event.item_id, content=content, client_id=event.client_id)
    return _external_item(event, external)


def _external_item(event: ev.UserSpoke, external: ev.External) -> it.FunctionCallOutput:
    """The first part of its message is octavo's own."""
    content = msgspec.json.decode(event.raw, type=_Content).content[1:]
    [first, *more] = content or [{"type": "input_text", "text": ""}]
    is_text = not more and first.get("type") == "input_text"
    return it.FunctionCallOutput(
        id=event.item_id,
        name=external.name,
        namespace=external.namespace,
        output=str(first.get("text", "")) if is_text else (first, *more),
    )


class _Content(msgspec.Struct):
    content: list[dict[str, Any]] = []


def shell_done(item: it.CommandExecution, event: ev.ShellEnded) -> it.CommandExecution:
    """Return the item of a person's own command, now that it is over."""
    parts = decode_item(event.raw).content or ()
    return msgspec.structs.replace(
        item,
        status="completed" if event.facts.exit_code == 0 else "failed",
        exit_code=event.facts.exit_code,
        duration_ms=event.facts.duration_ms,
        aggregated_output=parts[1].text if len(parts) > 1 else None,
        completed_at_ms=event.at_ms,
    )


def _undone(event: ev.TurnsUndone | ev.UndoUndone) -> str:
    """Return what a person is told when turns were taken back, or that was."""
    if isinstance(event, ev.UndoUndone):
        return "What was undone last is there again."
    turns = "The last turn was" if len(event.turn_ids) == 1 else f"{len(event.turn_ids)} turns were"
    files = f" {len(event.paths)} files were restored." if event.paths else ""
    said = " The model is not shown what was said." if event.conversation else ""
    return f"{turns} undone.{files}{said}"
