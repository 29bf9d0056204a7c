"""What a person accepted before, as far as it holds here.

For this thread it is in the thread's log, so that it survives a restart and goes no further; for a
project or always in `config.approvals`. All of it spares questions, and none of it a wall.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from octavo.agent.clock import now_ms
from octavo.config.approvals import Approval, new_approval_id, read_approvals, remember
from octavo.config.paths import approvals_file
from octavo.config.trust import trust_unit
from octavo.protocol.errors import ConfigError
from octavo.protocol.fold import Thread
from octavo.protocol.questions import (
    CommandQuestion,
    FileChangeQuestion,
    NetworkQuestion,
    Offer,
    Question,
)


class Remembered:
    """The remembered answers that hold in a folder.

    Args:
        home: octavo's own directory.
        thread: whose remembered answers hold, too.
        notice: told once of what is wrong with the file, for the person.
    """

    def __init__(self, home: Path, thread: Thread, notice: Callable[[str], None]) -> None:
        self._home = home
        self._thread = thread
        self._notice = notice
        self._stamp: object = self
        self._stored: tuple[Approval, ...] = ()
        self._said: set[str] = set()

    def spares(self, key: str, cwd: Path) -> bool:
        """Return whether exactly this was accepted."""
        return any(
            isinstance(one, CommandQuestion) and one.key == key and not one.outside
            for one in self._thread.remembered
        ) or any(one.key == key for one in self._holding(cwd, "exact"))

    def prefixes(self, cwd: Path) -> tuple[tuple[str, ...], ...]:
        """Return the first words of commands that need no question here."""
        return tuple(one.words for one in self._holding(cwd, "prefix") if one.words)

    def hosts(self, cwd: Path) -> tuple[str, ...]:
        """Return the hosts that commands here may reach."""
        mine = [one.host for one in self._thread.remembered if isinstance(one, NetworkQuestion)]
        stored = [one.host for one in self._holding(cwd, "host") if one.host]
        return tuple(dict.fromkeys([*mine, *stored]))

    def paths(self) -> frozenset[str]:
        """Return the files that this thread may change although they are outside."""
        return frozenset(
            path
            for one in self._thread.remembered
            if isinstance(one, FileChangeQuestion)
            for path in one.paths
        )

    def keep(self, question: Question, offer: Offer, cwd: Path) -> None:
        """Remember a yes beyond the thread; the person is told if that cannot be done."""
        project = None if offer.scope == "always" else str(trust_unit(cwd))
        match question:
            case CommandQuestion() if offer.covers == "exact":
                approval = self._approval(
                    offer, project, question.command, key=question.key, cwd=question.cwd
                )
            case CommandQuestion():
                approval = self._approval(offer, project, question.command, words=offer.words)
            case NetworkQuestion():
                approval = self._approval(offer, project, question.command, host=question.host)
            case _:
                return
        try:
            remember(self._home, approval)
        except ConfigError as error:
            self._tell(f"Your answer holds only this once. {error}")

    def _approval(
        self,
        offer: Offer,
        project: str | None,
        command: str,
        *,
        key: str | None = None,
        cwd: str | None = None,
        words: tuple[str, ...] = (),
        host: str | None = None,
    ) -> Approval:
        return Approval(
            new_approval_id(), offer.covers, now_ms(), project, command, key, cwd, words, host
        )

    def _holding(self, cwd: Path, covers: str) -> Iterator[Approval]:
        found = [one for one in self._read() if one.covers == covers]
        if not found:
            return
        unit = str(trust_unit(cwd))
        yield from (one for one in found if one.project in (None, unit))

    def _read(self) -> tuple[Approval, ...]:
        """Return what the file says; read again only when it is another one."""
        try:
            status = os.stat(approvals_file(self._home))
        except OSError:
            stamp: object = None
        else:
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._stored = read_approvals(self._home)
            except ConfigError as error:
                self._stored = ()
                self._tell(str(error))
        return self._stored

    def _tell(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notice(text)
