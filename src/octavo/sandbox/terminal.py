"""The person's terminal, while a confined command has one of its own.

Keys and output are carried as they are, so it is the command's terminal that knows lines, echo and
Ctrl-C. Run in the background of a shell, this takes no keys until it is brought to the front.
"""

from __future__ import annotations

import os
import termios
import tty

import anyio

from octavo.sandbox import Process

_CHUNK_BYTES = 4096
"""What a terminal that can be written to takes at once."""
_LOOK_AGAIN_S = 0.2


class Terminal:
    """The terminal of this process, by those of its standard descriptors that are one."""

    def __init__(self, *, keys: int, screen: int) -> None:
        self._keys = keys
        self._screen = screen
        self._before: termios._AttrReturn | None = None
        """Its modes, while it is taken."""

    @classmethod
    def of_this_process(cls) -> Terminal | None:
        """Return the terminal that is stdin, stdout or stderr, if one of them is."""
        found = [fd for fd in (0, 1, 2) if os.isatty(fd)]
        return cls(keys=found[0], screen=found[-1]) if found else None

    def size(self) -> tuple[int, int]:
        """Return rows and columns."""
        return termios.tcgetwinsize(self._keys)

    def take(self) -> None:
        """Make it hand on every key as it is; nothing happens in the background."""
        if self._is_ours():
            if self._before is None:
                self._before = termios.tcgetattr(self._keys)
            tty.setraw(self._keys, termios.TCSADRAIN)

    def give_back(self) -> None:
        """Make it as it was."""
        if self._before is not None and self._is_ours():
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)
            self._before = None

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._keys) == os.getpgrp()
        except OSError:  # no shell has it
            return True

    async def type_into(self, process: Process) -> None:
        """Hand on keys until the terminal is gone."""
        while True:
            while not self._is_ours():
                await anyio.sleep(_LOOK_AGAIN_S)
                self.take()
            await anyio.wait_readable(self._keys)
            if not self._is_ours():
                continue
            try:
                keys = os.read(self._keys, _CHUNK_BYTES)
            except OSError:
                return
            if not keys:
                return
            await process.write(keys)

    async def show(self, process: Process) -> None:
        """Show what the command writes, to its end; also when there is no screen any more."""
        gone = False
        while data := await process.read():
            view = memoryview(b"" if gone else data)
            while view:
                await anyio.wait_writable(self._screen)
                try:
                    view = view[os.write(self._screen, view[:_CHUNK_BYTES]) :]
                except OSError:
                    gone, view = True, view[:0]
