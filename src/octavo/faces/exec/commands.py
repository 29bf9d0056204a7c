"""Commands in the transcript: one at a time, however many run at once.

The first of several shows its output as it comes; the others wait, whole, for their turn. A
command that outlives the response it was started in gives way to the next one and is told about
when it ends. Of a long output its two ends are shown.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from octavo.protocol.items import CommandExecution, DynamicToolCall

HEAD_LINES, TAIL_LINES = 14, 6
LINE_CHARACTERS = 500


class Say(Protocol):
    """Writes lines in a style."""

    def __call__(self, text: str, style: str | None = None) -> None: ...


class _Command:
    """One command that has not been told about to its end."""

    def __init__(self, text: str, step: int) -> None:
        self.text = text
        self.step = step
        self.ended: CommandExecution | None = None
        self.was_live = False
        self._partial = ""
        self._lines = 0
        self._head: list[str] = []
        self._head_lines = 0
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def feed(self, text: str) -> None:
        *lines, rest = (self._partial + text).split("\n")
        self._partial = rest[: LINE_CHARACTERS + 1]
        for line in lines:
            self._add(line)

    @property
    def has_written(self) -> bool:
        return bool(self._lines or self._partial)

    def take_head(self) -> list[str]:
        """Return what can be shown of the beginning and was not yet."""
        head, self._head = self._head, []
        return head

    def take_rest(self) -> list[str]:
        """Return what is left to show when it has ended."""
        if self._partial:
            self._add(self._partial)
        left_out = self._lines - self._head_lines - len(self._tail)
        if left_out <= 0:
            return [*self.take_head(), *self._tail]
        from octavo.protocol.gaps import gap

        return [*self.take_head(), gap(left_out), *self._tail]

    def _add(self, line: str) -> None:
        left_out = _stands_for(line)
        self._lines += left_out or 1
        if left_out:
            return
        shown = line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]}…"
        if self._lines > HEAD_LINES:
            self._tail.append(shown)
        else:
            self._head_lines += 1
            self._head.append(shown)


def _stands_for(line: str) -> int:
    """Return how many lines were left out before they came here, if `line` says so; else 0."""
    if not line.startswith("… "):
        return 0
    from octavo.protocol.gaps import lines_of_gap

    return lines_of_gap(line)


class Commands:
    """The commands of a turn, as they are shown."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._open: dict[str, _Command] = {}
        self._live: str | None = None
        self._step = 0

    def stepped(self) -> None:
        """A response of the model is complete; a command that runs on is in the background."""
        self._step += 1

    def aside(self) -> None:
        """Something else is about to be shown: a command in the background steps back for it."""
        if self._live is not None and self._open[self._live].step < self._step:
            self._live = None

    def started(self, item: CommandExecution) -> None:
        self._open[item.id] = _Command(item.command, self._step)
        self.aside()
        if self._live is None:
            self._go_live(item.id)

    def output(self, item_id: str, text: str) -> None:
        command = self._open.get(item_id)
        if command is None:
            return
        command.feed(text)
        if item_id == self._live:
            self._say_lines(command.take_head())

    def completed(self, item: CommandExecution) -> None:
        command = self._open.get(item.id)
        if command is None:
            return
        command.ended = item
        if item.id == self._live:
            self._live = None
            self._close(item.id, command)
            self._go_on()
        elif command.was_live:
            self._say(f"$ {plain(command.text)}  (from before)", "bold")
            self._close(item.id, command)

    def refused(self, command: str, why: str) -> None:
        """Show a command that was not started, and what the model was told."""
        self.aside()
        self._say(f"$ {plain(command)}", "bold")
        self._say(f"  {plain(why)}", "yellow")

    def _go_on(self) -> None:
        """Show the commands that waited, up to the first that is still running."""
        for item_id, command in list(self._open.items()):
            if command.was_live:
                continue
            self._go_live(item_id)
            if command.ended is None:
                return
            self._live = None
            self._close(item_id, command)

    def _go_live(self, item_id: str) -> None:
        command = self._open[item_id]
        command.was_live = True
        self._live = item_id
        self._say(f"$ {plain(command.text)}", "bold")
        self._say_lines(command.take_head())

    def _close(self, item_id: str, command: _Command) -> None:
        del self._open[item_id]
        item = command.ended
        if item is not None and item.exit_code is None and not command.has_written:
            command.feed(item.aggregated_output or "")  # why it could not even begin
        self._say_lines(command.take_rest())
        if item is None:
            return
        took = "" if item.duration_ms is None else f" in {item.duration_ms / 1000:.1f} s"
        if item.exit_code == 0:
            self._say(f"  ok{took}", "green")
        elif item.exit_code is None:
            self._say(f"  {_ENDINGS.get(item.status, item.status)}{took}", "red")
        else:
            self._say(f"  exit code {item.exit_code}{took}", "red")

    def _say_lines(self, lines: list[str]) -> None:
        for line in lines:
            self._say(f"  {plain(line)}" if line else "", "dim")


_ENDINGS = {"failed": "did not finish", "declined": "not allowed"}


def lines(count: int) -> str:
    """The word for so many of them."""
    return "line" if count == 1 else "lines"


def not_started(item: DynamicToolCall) -> str | None:
    """Return the command that a call of the model asked for, where it was not even started."""
    if item.success or item.tool != "exec_command" or not isinstance(item.arguments, dict):
        return None
    command = item.arguments.get("cmd")
    return command if isinstance(command, str) else None


def said(item: DynamicToolCall) -> str:
    """Return what the model was told."""
    return "".join(part.get("text", "") for part in item.content_items or ())


def plain(text: str) -> str:
    """`text` without anything that moves a cursor or hides what follows."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"⟨U+{ord(c):04X}⟩" for c in text)
