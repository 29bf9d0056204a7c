"""Which logs there are, and which one an id means.

The folders and names of the logs say it: an id is found without opening a file. The archived ones
are in a folder beside. What else is said of a thread is in `index`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from octavo.protocol.errors import StoreError

SESSIONS = "sessions"
ARCHIVED = "archived_sessions"

_ID_CHARACTERS = 36
_NAMED_AT_MOST = 3


class Log(NamedTuple):
    """A log by its name; its file may be gone by now."""

    thread_id: str
    path: str
    archived: bool


def logs(home: Path) -> Iterator[Log]:
    """Yield every log, the day they began in descending; the archived ones last."""
    for archived, root in ((False, f"{home}/{SESSIONS}"), (True, f"{home}/{ARCHIVED}")):
        for year in _names(root):
            for month in _names(f"{root}/{year}"):
                for day in _names(f"{root}/{year}/{month}"):
                    folder = f"{root}/{year}/{month}/{day}"
                    for name in _names(folder):
                        if name.startswith("rollout-") and name.endswith(".jsonl"):
                            yield Log(_thread_id(name), f"{folder}/{name}", archived)


def find(home: Path, wanted: str) -> Path:
    """Return the log of the thread whose id is `wanted`, or the only one to begin so.

    Raises:
        StoreError: there is none, or there are several.
    """
    wanted = wanted.strip().lower()
    there = {log.thread_id: Path(log.path) for log in reversed(list(logs(home)))}
    found = [thread_id for thread_id in there if wanted and thread_id.startswith(wanted)]
    if wanted in there:
        found = [wanted]
    match found:
        case [thread_id]:
            return there[thread_id]
        case []:
            raise StoreError(f"There is no thread {wanted!r}.", hint=_newest_hint(home))
        case _:
            named = ", ".join(sorted(found, reverse=True)[:_NAMED_AT_MOST])
            more = ", …" if len(found) > _NAMED_AT_MOST else ""
            raise StoreError(
                f"{len(found)} threads begin with {wanted!r}: {named}{more}.",
                hint="Give more of the id.",
            )


def find_exactly(home: Path, thread_id: str) -> Path | None:
    """Return the log of this very thread, archived or not; None when there is none."""
    for log in logs(home):
        if log.thread_id == thread_id:
            return Path(log.path)
    return None


def is_archived(home: Path, path: Path) -> bool:
    """Whether the log at `path` is among the archived ones of `home`."""
    return path.is_relative_to(home / ARCHIVED)


def thread_id_of(path: Path) -> str:
    """Return the id that the name of a log holds."""
    return _thread_id(path.name)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder), reverse=True)
    except OSError:  # not there, not a folder, not ours: no threads in it
        return []


def _thread_id(name: str) -> str:
    return name.removesuffix(".jsonl")[-_ID_CHARACTERS:]


def _newest_hint(home: Path) -> str:
    written: list[tuple[int, str]] = []
    for log in logs(home):
        if not log.archived:
            try:
                written.append((os.stat(log.path).st_mtime_ns, log.thread_id))
            except OSError:
                continue  # gone since it was listed
    if not written:
        return "There are no threads at all yet."
    newest = [thread_id for _, thread_id in sorted(written, reverse=True)]
    some = ", ".join(newest[:_NAMED_AT_MOST])
    return f"The newest: {some}. `octavo sessions list --all` shows more."
