"""The person's terminal, while a confined command has one of its own.

Keys and output are carried as they are, so it is the command's terminal that knows lines, echo and
Ctrl-C. Run in the background of a shell, this takes no keys until it is brought to the front.
"""

from __future__ import annotations

import os
import termios
import tty


class Terminal:
    """The terminal of this process, by those of its standard descriptors that are one.

    Attributes:
        keys: where a person types.
        screen: where they look.
    """

    def __init__(self, *, keys: int, screen: int) -> None:
        self.keys = keys
        self.screen = screen
        self._before: termios._AttrReturn | None = None
        """Its modes, while it is taken."""

    @classmethod
    def of_this_process(cls) -> Terminal | None:
        """Return the terminal that is stdin, stdout or stderr, if one of them is."""
        found = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        return cls(keys=found[0], screen=found[-1]) if found else None

    def size(self) -> tuple[int, int]:
        """Return rows and columns."""
        return termios.tcgetwinsize(self.keys)

    def take(self) -> None:
        """Make it hand on every key as it is; nothing happens in the background."""
        if self.is_ours():
            if self._before is None:
                self._before = termios.tcgetattr(self.keys)
            tty.setraw(self.keys, termios.TCSADRAIN)

    def give_back(self) -> None:
        """Make it as it was."""
        if self._before is not None and self.is_ours():
            termios.tcsetattr(self.keys, termios.TCSADRAIN, self._before)
            self._before = None

    def is_ours(self) -> bool:
        """Whether it is this process that a person types to."""
        try:
            return os.tcgetpgrp(self.keys) == os.getpgrp()
        except OSError:  # no shell has it
            return True

    def resize(self, other: int) -> None:
        """Give another terminal the size of this one."""
        termios.tcsetwinsize(other, self.size())
