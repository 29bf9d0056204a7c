"""Reaching files below a folder without ever following a link.

A command that still runs may swap a folder for a link at any moment. So each folder on the way is
opened by its name in the one above, and a link there is an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Below:
    """Open folders below `root`. The last one asked for stays open, as the next is often near."""

    def __init__(self, root: Path) -> None:
        self._fds = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        self._names: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget(0)
        os.close(self._fds[0])

    def folder(self, path: bytes) -> tuple[int, bytes]:
        """Return the descriptor of the folder that holds `path`, and the name of `path` in it.

        Raises:
            OSError: the folder is not there, or there is a link on the way.
        """
        *names, name = path.split(b"/")
        if self._names != names:
            same = 0
            for mine, wanted in zip(self._names, names, strict=False):
                if mine != wanted:
                    break
                same += 1
            self.forget(same)
            for each in names[same:]:
                self._fds.append(os.open(each, _FOLDER, dir_fd=self._fds[-1]))
                self._names.append(each)
        return self._fds[-1], name

    def forget(self, depth: int = 0) -> None:
        """Close the folders deeper than `depth`, which may have been replaced."""
        while len(self._names) > depth:
            os.close(self._fds.pop())
            self._names.pop()
