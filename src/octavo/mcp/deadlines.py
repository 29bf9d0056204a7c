"""Deadlines that stand still while a person is asked: nobody answers by a server's clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import anyio


class Deadlines:
    """The deadlines of what is being waited for."""

    def __init__(self) -> None:
        self._scopes: set[anyio.CancelScope] = set()
        self._left_s: dict[anyio.CancelScope, float] = {}
        self._pauses = 0

    @contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Let what is done in this context take so long.

        Raises:
            TimeoutError: it took longer.
        """
        with anyio.fail_after(timeout_s) as scope:
            self._scopes.add(scope)
            try:
                yield
            finally:
                self._scopes.discard(scope)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let none of them pass during this context; those that begin in it are not touched."""
        if not self._pauses:
            now = anyio.current_time()
            self._left_s = {scope: scope.deadline - now for scope in self._scopes}
            for scope in self._left_s:
                scope.deadline = math.inf
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                now = anyio.current_time()
                for scope in self._scopes & self._left_s.keys():
                    scope.deadline = now + self._left_s[scope]
