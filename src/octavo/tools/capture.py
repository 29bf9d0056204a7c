"""What is kept of one command's output.

Memory holds the two ends of what has not been shown yet, however much a command writes. The whole
goes to a file, which is opened only once something would otherwise be lost; a file that cannot be
written is told and ends nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from octavo.tools import OUTPUT_FILE_LIMIT_BYTES, OutputFile
from octavo.tools.plain import Plain
from octavo.tools.truncate import TOKEN_BYTES, Gap, count_tokens, truncate_ends

_END_BYTES = 128 << 10
"""How much of each end is kept at least; more than is shown, as escapes and repaints take room."""


class Window(msgspec.Struct, frozen=True):
    """Output since the last look, as text. With a `gap`, it lies between `head` and `tail`."""

    head: str
    tail: str
    gap: Gap | None
    size_bytes: int

    @property
    def tokens(self) -> int:
        """How many tokens the output was, before anything was taken out."""
        return count_tokens(self.size_bytes)

    def fits(self, limit_tokens: int) -> bool:
        """Return whether all of it can be shown."""
        return self.gap is None and count_tokens(len(self.head.encode())) <= limit_tokens

    def show(self, limit_tokens: int, kept_in: str | None) -> str:
        """Return the text within the limit."""
        return truncate_ends(self.head, self.tail, limit_tokens, gap=self.gap, kept_in=kept_in)


class Capture:
    """Takes output as it comes and gives it out window by window.

    Args:
        open_file: opens the file for the whole output; awaited at most once.
        limit_tokens: the most that is ever shown of one window.
    """

    def __init__(self, open_file: Callable[[], Awaitable[OutputFile]], limit_tokens: int) -> None:
        self._open_file = open_file
        self._limit_bytes = limit_tokens * TOKEN_BYTES
        self._end_bytes = max(_END_BYTES, 2 * self._limit_bytes)
        self._head = bytearray()
        self._tail = bytearray()
        self._size_bytes = 0
        self._newlines = 0
        self._plain = Plain()
        self._before_file: bytearray | None = bytearray()
        """All output so far, as long as there is no file for it."""
        self._file: OutputFile | None = None
        self._over = False
        self._total_bytes = 0
        self.path: str | None = None
        """The file with the whole output, once there is one."""
        self.trouble: str | None = None
        """Why the file lacks something."""

    async def feed(self, data: bytes) -> None:
        """Take the next output."""
        self._total_bytes += len(data)
        self._size_bytes += len(data)
        room = self._end_bytes - len(self._head)
        if room > 0:
            self._head += data[:room]
        if room < len(data):
            self._newlines += data.count(b"\n", max(0, room))
            self._feed_tail(data if room <= 0 else data[room:])
        await self._keep(data)

    def _feed_tail(self, data: bytes) -> None:
        if len(data) >= self._end_bytes:
            self._tail[:] = data[-self._end_bytes :]
            return
        self._tail += data
        if len(self._tail) > 2 * self._end_bytes:
            del self._tail[: -self._end_bytes]

    async def _keep(self, data: bytes) -> None:
        if self._before_file is not None:
            self._before_file += data
            if len(self._before_file) > 2 * self._end_bytes:
                await self.keep_whole()
        elif self._file is not None:
            self._write(data)

    async def keep_whole(self) -> None:
        """Put what came so far into the file, and from now on all that comes; once is enough."""
        data, self._before_file = self._before_file, None
        if data is None:
            return
        try:
            self._file = await self._open_file()
        except OSError as error:
            self._lose(error)
            return
        self.path = str(self._file.path)
        self._write(bytes(data))
        if self._over:
            self._close_file()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        self.trouble = error.strerror or str(error)
        self._close_file()

    def take(self, *, final: bool) -> Window:
        """Return the output since the last time; what is cut in two waits, unless `final`."""
        head, tail = bytes(self._head), bytes(self._tail)
        dropped = self._size_bytes - len(head) - len(tail)
        if dropped == 0:
            whole = self._plain.feed(head + tail, final=final)
            window = Window(whole, "", None, self._size_bytes)
        else:
            first = self._plain.feed(head, final=True)
            line = tail.find(b"\n") + 1  # begin with a whole line, if there is one
            last = self._plain.feed(tail[line:], final=final)
            gap = Gap(dropped + line, self._newlines - tail.count(b"\n", line))
            window = Window(first, last, gap, self._size_bytes)
        self._head.clear()
        self._tail = bytearray()
        self._size_bytes = self._newlines = 0
        return window

    def where(self) -> str | None:
        """Return how to find the whole output, in words."""
        if self.trouble is not None:
            lost = f"the rest could not be kept: {self.trouble}"
            return f"{self.path} has the beginning, {lost}" if self.path else lost
        if self.path is None:
            return None
        if self._total_bytes > OUTPUT_FILE_LIMIT_BYTES:
            return f"{self.path} has the first {OUTPUT_FILE_LIMIT_BYTES >> 20} MiB"
        return f"the whole output is in {self.path}"

    async def close(self) -> None:
        """Say that the output is complete. A part of it may still be unread."""
        self._over = True
        if self._size_bytes > self._limit_bytes:
            await self.keep_whole()
        self._close_file()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self.trouble = self.trouble or error.strerror or str(error)
