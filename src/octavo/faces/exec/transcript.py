"""What `octavo exec` shows a person on stderr, as it happens.

Lines are only ever appended, a spinner on a terminal apart; nothing the model or a command wrote
can move the cursor. A message is held back until something follows it, because the final one is
not shown here: it goes to stdout.
"""

from __future__ import annotations

import os
import sys
import time
from typing import assert_never

import msgspec

from octavo.faces.exec.commands import Commands, not_started, plain, said
from octavo.faces.exec.commands import lines as word_for_lines
from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.hooks import HookRun
from octavo.protocol.usage import NANO_USD, Usage, dollars

BUDGET = "sessionBudgetExceeded"
"""The app-server's word for a turn that ended because its budget, or its thread's, was used up."""
ARGUMENTS_SHOWN = 200
DIFF_LINES = 60
SAY_SECONDS_FROM = 3
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_STYLES = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_NO_TO_A_CALL = ("blocked", "preToolUse")
REASON_CHARS = 300
"""How much is shown of what a tool says when it fails."""
HOOK_CHARS = 60
"""How much of what a hook says it does is shown beside the spinner."""
GOAL_CHARS = 300
"""A longer goal is not repeated in the command that goes on with it."""
_GOAL_WORDS = {
    "active": "active",
    "paused": "paused",
    "blocked": "blocked",
    "usageLimited": "stopped at the provider's limit",
    "budgetLimited": "out of budget",
    "complete": "reached",
}
_PLAN_MARKS = {"pending": "☐", "inProgress": "▸", "completed": "☑"}


class Transcript:
    """Writes notifications as text to a terminal or a file."""

    def __init__(self, *, color: bool, terminal: bool) -> None:
        self._color = color
        self._terminal = terminal
        self._spin = 0
        self._spinning = False
        self._working = "thinking"
        self._working_since_s = time.monotonic()
        self._commands = Commands(self._line)
        self._held: str | None = None
        self._cwd = ""
        self._usage = Usage()
        self._spent: m.Spending | None = None

    def began(self, thread: m.ThreadResult) -> None:
        """Say what runs where."""
        self._cwd = thread.cwd
        sandbox = {
            "dangerFullAccess": "NONE (danger-full-access)",
            "externalSandbox": "this machine itself (external)",
            "readOnly": "read-only",
            "workspaceWrite": "workspace-write",
        }[thread.sandbox.type_]
        network = "" if thread.sandbox.network_access in (True, "enabled") else ", no network"
        self._say(f"octavo · {thread.model} ({thread.model_provider}) · {thread.cwd}", "bold")
        self._say(f"sandbox {sandbox}{network}", "dim")
        self._say(f"thread {thread.thread.id}", "dim")

    def __call__(self, notification: note.Notification) -> None:
        """Show one notification."""
        match notification:
            case note.ItemStarted():
                self._started(notification.item)
            case note.ItemCompleted():
                self._completed(notification.item)
            case note.CommandOutputDelta():
                self._commands.output(notification.item_id, notification.delta)
            case note.PlanUpdated():
                self._let_go()
                for step in notification.plan:
                    self._say(f"  {_PLAN_MARKS[step.status]} {plain(step.step)}", "cyan")
            case note.ErrorHappened():
                if notification.will_retry:
                    self._say(f"! {plain(notification.error.message)} Trying again.", "yellow")
            case note.Warned():
                self._say(f"! {plain(notification.message)}", "yellow")
            case note.HookStarted():
                self._work(_hook_shown(notification.run))
            case note.HookCompleted():
                self._hook_done(notification.run)
            case note.TokenUsageUpdated():
                usage = notification.token_usage
                self._usage = usage.octavo_turn or usage.last
                self._commands.stepped()
            case note.TurnCompleted():
                self._ended(notification.turn)
            case note.McpToolCallProgress():
                self._work(plain(notification.message)[:60])
            case note.McpServerStatusUpdated():
                if notification.status == "starting":
                    self._work(f"starting {plain(notification.name)}")
            case note.AgentMessageDelta():
                self._work("writing")
            case note.ReasoningSummaryTextDelta() | note.ReasoningTextDelta():
                self._work("thinking")
            case (
                note.TurnStarted()
                | note.ThreadStarted()
                | note.ThreadStatusChanged()
                | note.ThreadClosed()
                | note.ThreadNameUpdated()
                | note.ThreadArchived()
                | note.ThreadUnarchived()
                | note.ThreadDeleted()
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
                | note.McpOauthLoginCompleted()
                | note.FuzzySearchUpdated()
                | note.FuzzySearchCompleted()
            ):
                pass
            case _:
                assert_never(notification)

    def spent(self, spending: m.ThreadUsageResult) -> None:
        """Take what the turn cost, before the notification that it ended."""
        self._spent = spending.turn

    def how_to_go_on(self, spending: m.ThreadUsageResult) -> None:
        """Say how to continue after a budget was used up."""
        turn, thread = spending.turn_budget, spending.thread_budget
        flags = [
            *(["--max-cost USD"] if turn.max_cost_usd is not None else []),
            *(["--max-tokens N"] if turn.max_tokens is not None else []),
            *(["--max-time TIME"] if turn.max_time_s is not None else []),
            *(["-c budget.thread.max_cost_usd=USD"] if thread.max_cost_usd is not None else []),
            *(["-c budget.thread.max_tokens=N"] if thread.max_tokens is not None else []),
        ]
        self._say(
            f"Go on: octavo exec resume {spending.thread_id} {' '.join(flags)} PROMPT", "bold"
        )

    def goal_ended(self, goal: note.ThreadGoal, *, resumable: bool) -> None:
        """Say what became of the goal; how to go on where it is not reached, and that can be."""
        of = "" if goal.token_budget is None else f" of {goal.token_budget:,}"
        word = _GOAL_WORDS[goal.status]
        used = f"{goal.tokens_used:,}{of} tokens · {goal.time_used_seconds} s"
        self._say(f"goal {word} · {used}", "green" if goal.status == "complete" else "yellow")
        if goal.status != "complete" and resumable:
            more = " --goal-tokens MORE" if goal.status == "budgetLimited" else ""
            objective = _as_word(goal.objective)
            command = f"octavo exec resume {goal.thread_id} --goal {objective}{more}"
            self._say(f"Go on: {command}", "bold")

    def spin(self) -> None:
        """Turn the spinner; on a terminal only."""
        if not self._terminal:
            return
        self._spin = (self._spin + 1) % len(SPINNER)
        for_s = int(time.monotonic() - self._working_since_s)
        took = f" {for_s} s" if for_s >= SAY_SECONDS_FROM else ""
        self._write(f"\r{SPINNER[self._spin]} {self._working} …{took}\x1b[K")
        self._spinning = True

    def stop(self) -> None:
        """Take the spinner away."""
        if self._spinning:
            self._write("\r\x1b[K")
            self._spinning = False

    def before_answer(self) -> None:
        """Make room for the final message, which somebody else writes to stdout."""
        self.stop()
        self._held = None
        if self._terminal:
            self._write("\n")

    def no_answer(self) -> None:
        """Say that there is no final message."""
        self._say("! The model ended the turn without a message.", "yellow")

    def _started(self, item: it.ThreadItem) -> None:
        match item:
            case it.CommandExecution():
                self._let_go()
                self._commands.started(item)
                self._work("running")
            case it.AgentMessage():
                self._work("writing")
            case it.FileChange():
                self._work("writing files")
            case it.McpToolCall():
                self._work(f"{plain(item.server)}.{plain(item.tool)}")
            case it.ContextCompaction():
                self._work("summing up")
            case _:
                self._work("thinking")

    def _completed(self, item: it.ThreadItem) -> None:
        self._work("thinking")
        if isinstance(item, it.CommandExecution):
            self._commands.completed(item)
            return
        if isinstance(item, it.UserMessage | it.FunctionCallOutput):
            return
        self._let_go()
        match item:
            case it.AgentMessage():
                self._held = plain(item.text)
            case it.Reasoning():
                if item.summary:
                    self._say(plain("\n".join(item.summary)), "dim")
            case it.FileChange():
                self._change_done(item)
            case it.WebSearch():
                self._say(f"searched the web: {plain(item.query)}", "cyan")
            case it.ContextCompaction():
                before, after = item.octavo_tokens_before or 0, item.octavo_tokens_after or 0
                how = "left parts out" if item.octavo_kind == "trimmed" else "summed up"
                self._say(f"{how}: about {before:,} tokens before, {after:,} now", "cyan")
            case it.ImageView():
                self._say(f"looked at {self._path(item.path)}", "cyan")
            case it.McpToolCall():
                self._tool_done(item)
            case it.DynamicToolCall():
                command = not_started(item)
                if command is not None:
                    self._commands.refused(command, said(item))
                elif not item.success:
                    self._say(f"! {plain(item.tool)} failed: {plain(said(item))}", "yellow")
            case _:
                assert_never(item)

    def _tool_done(self, item: it.McpToolCall) -> None:
        arguments = msgspec.json.encode(item.arguments).decode()
        shown = (
            arguments if len(arguments) <= ARGUMENTS_SHOWN else arguments[:ARGUMENTS_SHOWN] + "…"
        )
        self._say(plain(f"{item.server}.{item.tool} {shown}"), "cyan")
        if item.error is not None:
            self._say(f"! {plain(item.error.message)}", "yellow")
        elif item.status == "failed":
            self._say(f"! The tool says that it failed{_reason(item)}", "yellow")

    def _hook_done(self, run: HookRun) -> None:
        """Show what a hook said to the person; what went well and is for the model is left out.

        So is a no to a call: the call that was not made is shown, and why.
        """
        self._work("thinking")
        name = _hook_name(run)
        for entry in run.entries:
            if entry.kind == "error":
                self._say(f"! {name} failed: {plain(entry.text)}", "yellow")
            elif entry.kind != "context" and (run.status, run.event_name) != _NO_TO_A_CALL:
                word = {"blocked": " said no", "stopped": " stopped the turn"}.get(run.status, "")
                self._say(f"! {name}{word}: {plain(entry.text)}", "yellow")

    def _let_go(self) -> None:
        """Show the message that was held back: something follows it, so it is not the final one."""
        if self._held is not None:
            self._say(f"\n{self._held}")
            self._held = None

    def _work(self, what: str) -> None:
        if what != self._working:
            self._working = what
            self._working_since_s = time.monotonic()

    def _path(self, path: str) -> str:
        """`path` as seen from the working directory."""
        below = path.removeprefix(f"{self._cwd}/") if self._cwd else path
        return plain(below)

    def _change_done(self, item: it.FileChange) -> None:
        for change in item.changes:
            word = {"add": "added", "delete": "deleted", "update": "changed"}[change.kind.type_]
            failed = "" if item.status == "completed" else f" — {item.status}"
            self._say(f"{word} {self._path(change.path)}{failed}", "bold")
            lines = change.diff.splitlines()
            for line in lines[:DIFF_LINES]:
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
                self._say(f"  {plain(line)}", style)
            if len(lines) > DIFF_LINES:
                more = len(lines) - DIFF_LINES
                self._say(f"  … {more} more {word_for_lines(more)}", "dim")

    def _ended(self, turn: it.Turn) -> None:
        self.stop()
        self._let_go()  # a final message is on stdout by now
        if turn.error is not None and turn.error.codex_error_info == BUDGET:
            self._say(f"octavo: stopped. {plain(turn.error.message)}", "yellow")
        elif turn.status == "failed" and turn.error is not None:
            self._say(f"octavo: the turn failed: {plain(turn.error.message)}", "red")
        elif turn.status == "interrupted":
            self._say("octavo: interrupted", "red")
        if self._usage.total_tokens:
            took = "" if turn.duration_ms is None else f" · {turn.duration_ms / 1000:.1f} s"
            self._say(f"tokens: {self._tokens()}{self._cost()}{took}", "dim")

    def _tokens(self) -> str:
        usage = self._usage
        into = f"{usage.input_tokens} in ({usage.cached_input_tokens} cached)"
        out = f"{usage.output_tokens} out"
        if usage.reasoning_output_tokens:
            out += f" ({usage.reasoning_output_tokens} reasoning)"
        guessed = self._spent.estimated_requests if self._spent is not None else 0
        return f"{into}, {out}" + (", in part estimated" if guessed else "")

    def _cost(self) -> str:
        """What it cost, where that is known; a part of it is said to be one."""
        spent = self._spent
        if spent is None or spent.unpriced_requests == spent.requests:
            return ""
        known = dollars(round(spent.known_cost_usd * NANO_USD))
        return f" · {known}" if spent.cost_usd is not None else f" · {known} and more"

    def _say(self, text: str, style: str | None = None) -> None:
        self._commands.aside()
        self._line(text, style)

    def _line(self, text: str, style: str | None = None) -> None:
        self.stop()
        if style is not None and self._color:
            text = "\n".join(f"\x1b[{_STYLES[style]}m{line}\x1b[0m" for line in text.split("\n"))
        self._write(text + "\n")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # the person closed the terminal; the work goes on
            return


def _reason(item: it.McpToolCall) -> str:
    """What a tool that failed says of it, in a line."""
    content = item.result.content if item.result is not None else ()
    texts = (part.get("text") for part in content)
    said = " ".join(" ".join(text for text in texts if isinstance(text, str)).split())
    cut = said if len(said) <= REASON_CHARS else said[: REASON_CHARS - 1] + "…"
    return f": {plain(cut)}" if cut else "."


def _as_word(objective: str) -> str:
    """A goal as a word of the shell's; one that is long, or not as it looks, is only spoken of."""
    if len(objective) > GOAL_CHARS or not objective.isprintable():
        return "'THE SAME TEXT'"
    import shlex

    return shlex.quote(objective)


def _hook_name(run: HookRun) -> str:
    return f"hook {run.event_name[:1].upper()}{run.event_name[1:]}"


def _hook_shown(run: HookRun) -> str:
    """What is being done while a hook runs, on one short line."""
    said = plain(run.status_message or "").split("\n")[0][:HOOK_CHARS]
    return said or _hook_name(run)


def wants_color(env: dict[str, str] | os._Environ[str], choice: str) -> bool:
    """Whether stderr gets colours: `choice` is "always", "never" or "auto"."""
    if choice != "auto":
        return choice == "always"
    return sys.stderr.isatty() and "NO_COLOR" not in env and env.get("TERM") != "dumb"
