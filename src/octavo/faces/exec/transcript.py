"""What `octavo exec` shows a person on stderr, as it happens.

Lines are only ever appended, a spinner on a terminal apart; nothing the model or a command wrote
can move the cursor. The final message is not here: it goes to stdout.
"""

from __future__ import annotations

import os
import sys
from typing import assert_never

from octavo.protocol import items as it
from octavo.protocol import methods as m
from octavo.protocol import notifications as note
from octavo.protocol.usage import Usage

OUTPUT_LINES = 20
"""How much of a command's output is shown; the model may see more."""
DIFF_LINES = 60
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_STYLES = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PLAN_MARKS = {"pending": "☐", "inProgress": "▸", "completed": "☑"}


class Transcript:
    """Writes notifications as text to a terminal or a file."""

    def __init__(self, *, color: bool, terminal: bool) -> None:
        self._color = color
        self._terminal = terminal
        self._spin = 0
        self._spinning = False
        self._working = "thinking"
        self._lines: dict[str, int] = {}
        self._partial: dict[str, str] = {}
        self._usage = Usage()

    def began(self, thread: m.ThreadResult) -> None:
        """Say what runs where."""
        sandbox = {
            "dangerFullAccess": "NONE (danger-full-access)",
            "readOnly": "read-only",
            "workspaceWrite": "workspace-write",
        }[thread.sandbox.type_]
        network = "" if thread.sandbox.network_access else ", no network"
        self._say(f"octavo · {thread.model} ({thread.model_provider}) · {thread.cwd}", "bold")
        self._say(f"sandbox {sandbox}{network} · thread {thread.thread.id}", "dim")

    def __call__(self, notification: note.Notification) -> None:
        """Show one notification."""
        match notification:
            case note.ItemStarted():
                self._started(notification.item)
            case note.ItemCompleted():
                self._completed(notification.item)
            case note.CommandOutputDelta():
                self._output(notification.item_id, notification.delta)
            case note.PlanUpdated():
                for step in notification.plan:
                    self._say(f"  {_PLAN_MARKS[step.status]} {_plain(step.step)}", "cyan")
            case note.ErrorHappened():
                if notification.will_retry:
                    self._say(f"! {_plain(notification.error.message)} Trying again.", "yellow")
            case note.Warned():
                self._say(f"! {_plain(notification.message)}", "yellow")
            case note.TokenUsageUpdated():
                usage = notification.token_usage
                self._usage = usage.octavo_turn or usage.last
            case note.TurnCompleted():
                self._ended(notification.turn)
            case note.AgentMessageDelta():
                self._working = "writing"
            case note.ReasoningSummaryTextDelta() | note.ReasoningTextDelta():
                self._working = "thinking"
            case (
                note.TurnStarted()
                | note.ThreadStarted()
                | note.ThreadStatusChanged()
                | note.ThreadClosed()
                | note.DiffUpdated()
                | note.ServerRequestResolved()
            ):
                pass
            case _:
                assert_never(notification)

    def spin(self) -> None:
        """Turn the spinner; on a terminal only."""
        if not self._terminal:
            return
        self._spin = (self._spin + 1) % len(SPINNER)
        self._write(f"\r{SPINNER[self._spin]} {self._working} …\x1b[K")
        self._spinning = True

    def stop(self) -> None:
        """Take the spinner away."""
        if self._spinning:
            self._write("\r\x1b[K")
            self._spinning = False

    def _started(self, item: it.ThreadItem) -> None:
        match item:
            case it.CommandExecution():
                self._say(f"$ {_plain(item.command)}", "bold")
                self._working = "running"
            case it.AgentMessage() | it.Reasoning():
                self._working = "writing" if isinstance(item, it.AgentMessage) else "thinking"
            case _:
                pass

    def _completed(self, item: it.ThreadItem) -> None:
        self._working = "thinking"
        match item:
            case it.AgentMessage():
                self._say(_plain(item.text))
            case it.Reasoning():
                if item.summary:
                    self._say(_plain("\n".join(item.summary)), "dim")
            case it.CommandExecution():
                self._command_done(item)
            case it.FileChange():
                self._change_done(item)
            case it.WebSearch():
                self._say(f"searched the web: {_plain(item.query)}", "cyan")
            case it.ImageView():
                self._say(f"looked at {_plain(item.path)}", "cyan")
            case it.DynamicToolCall():
                if not item.success:
                    text = "".join(part.get("text", "") for part in item.content_items or ())
                    self._say(f"! {_plain(item.tool)} failed: {_plain(text)}", "yellow")
            case it.UserMessage():
                pass

    def _output(self, item_id: str, text: str) -> None:
        """Show the first lines of a command's output as they come."""
        *lines, rest = (self._partial.get(item_id, "") + text).split("\n")
        self._partial[item_id] = rest[-4096:]
        for line in lines:
            self._output_line(item_id, line)

    def _output_line(self, item_id: str, line: str) -> None:
        shown = self._lines[item_id] = self._lines.get(item_id, 0) + 1
        if shown <= OUTPUT_LINES:
            self._say(f"  {_plain(line)}", "dim")

    def _command_done(self, item: it.CommandExecution) -> None:
        rest = self._partial.pop(item.id, "")
        if rest:
            self._output_line(item.id, rest)
        lines = self._lines.pop(item.id, 0)
        if lines > OUTPUT_LINES:
            self._say(f"  … {lines - OUTPUT_LINES} more lines", "dim")
        took = "" if item.duration_ms is None else f" in {item.duration_ms / 1000:.1f} s"
        if item.exit_code == 0:
            self._say(f"  ok{took}", "green")
        elif item.exit_code is None:
            self._say(f"  {item.status}", "red")
        else:
            self._say(f"  exit code {item.exit_code}{took}", "red")

    def _change_done(self, item: it.FileChange) -> None:
        for change in item.changes:
            word = {"add": "added", "delete": "deleted", "update": "changed"}[change.kind.type_]
            failed = "" if item.status == "completed" else f" — {item.status}"
            self._say(f"{word} {_plain(change.path)}{failed}", "bold")
            lines = change.diff.splitlines()
            for line in lines[:DIFF_LINES]:
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
                self._say(f"  {_plain(line)}", style)
            if len(lines) > DIFF_LINES:
                self._say(f"  … {len(lines) - DIFF_LINES} more lines", "dim")

    def _ended(self, turn: it.Turn) -> None:
        self.stop()
        if turn.status == "failed" and turn.error is not None:
            self._say(f"octavo: the turn failed: {_plain(turn.error.message)}", "red")
        elif turn.status == "interrupted":
            self._say("octavo: interrupted", "red")
        usage = self._usage
        if usage.total_tokens:
            took = "" if turn.duration_ms is None else f" · {turn.duration_ms / 1000:.1f} s"
            self._say(
                f"tokens: {usage.input_tokens} in ({usage.cached_input_tokens} cached),"
                f" {usage.output_tokens} out{took}",
                "dim",
            )

    def _say(self, text: str, style: str | None = None) -> None:
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


def wants_color(env: dict[str, str] | os._Environ[str], choice: str) -> bool:
    """Whether stderr gets colours: `choice` is "always", "never" or "auto"."""
    if choice != "auto":
        return choice == "always"
    return sys.stderr.isatty() and "NO_COLOR" not in env and env.get("TERM") != "dumb"


def _plain(text: str) -> str:
    """`text` without anything that moves a cursor or hides what follows."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"⟨U+{ord(c):04X}⟩" for c in text)
