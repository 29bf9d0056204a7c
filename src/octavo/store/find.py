"""Which threads there are, newest first.

The folders and names of the logs are the index: an id is found without opening a file, and what
else is said of a thread is read from the first lines of its log. "Newest" is the last written to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from octavo.protocol.errors import StoreError
from octavo.protocol.events import Event, UserSpoke
from octavo.store.reading import read_header

PREVIEW_CHARACTERS = 120

_ID_CHARACTERS = 36
_NAMED_AT_MOST = 5
_OPENING_BYTES = 1 << 18
"""How far into a log the user's first words are looked for."""


class Thread(msgspec.Struct, frozen=True):
    """One thread of the list.

    Attributes:
        at_ms: when it began.
        written_at_ms: when its log was last written to.
        preview: how the user's first words begin, on one line; empty when there are none.
    """

    thread_id: str
    path: Path
    cwd: str
    at_ms: int
    written_at_ms: int
    preview: str


def find(home: Path, wanted: str) -> Path:
    """Return the log of the thread whose id is `wanted`, or the only one to begin so.

    Raises:
        StoreError: there is none, or there are several.
    """
    wanted = wanted.strip().lower()
    logs = {_thread_id(name): Path(folder, name) for folder, name in _logs(home)}
    found = [thread_id for thread_id in logs if wanted and thread_id.startswith(wanted)]
    if wanted in logs:
        found = [wanted]
    match found:
        case [thread_id]:
            return logs[thread_id]
        case []:
            raise StoreError(f"There is no thread {wanted!r}.", hint=_newest_hint(home))
        case _:
            named = ", ".join(sorted(found, reverse=True)[:_NAMED_AT_MOST])
            more = ", …" if len(found) > _NAMED_AT_MOST else ""
            raise StoreError(
                f"{len(found)} threads begin with {wanted!r}: {named}{more}.",
                hint="Give more of the id.",
            )


def last(home: Path, *, cwd: str | None) -> Path:
    """Return the newest thread's log; of those that began in `cwd`, or of all with None.

    Raises:
        StoreError: there is none.
    """
    for path, _ in _newest_first(home):
        header = read_header(path)
        if header is not None and (cwd is None or header.cwd == cwd):
            return path
    if cwd is None:
        raise StoreError("There is no thread yet.", hint="Begin one with `octavo exec`.")
    raise StoreError(
        f"No thread has begun in {cwd}.",
        hint="Add --all to continue the newest of any folder, or begin one here.",
    )


def recent(home: Path, *, cwd: str | None, limit: int = 50) -> list[Thread]:
    """Return up to `limit` threads, newest first; of `cwd`, or of all folders with None."""
    threads: list[Thread] = []
    for path, written_at_ms in _newest_first(home):
        if len(threads) == limit:
            break
        header = read_header(path)
        if header is None or (cwd is not None and header.cwd != cwd):
            continue
        threads.append(
            Thread(header.thread_id, path, header.cwd, header.at_ms, written_at_ms, _preview(path))
        )
    return threads


def _logs(home: Path) -> Iterator[tuple[str, str]]:
    """Yield folder and name of every log, the day they began in descending."""
    sessions = str(home / "sessions")
    for year in _names(sessions):
        for month in _names(f"{sessions}/{year}"):
            for day in _names(f"{sessions}/{year}/{month}"):
                folder = f"{sessions}/{year}/{month}/{day}"
                for name in _names(folder):
                    if name.startswith("rollout-") and name.endswith(".jsonl"):
                        yield folder, name


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder), reverse=True)
    except OSError:  # not there, not a folder, not ours: no threads in it
        return []


def _newest_first(home: Path) -> list[tuple[Path, int]]:
    found: list[tuple[int, str, str]] = []
    for folder, name in _logs(home):
        try:
            found.append((os.stat(f"{folder}/{name}").st_mtime_ns, folder, name))
        except OSError:
            continue  # gone since it was listed
    found.sort(reverse=True)
    return [(Path(folder, name), at_ns // 1_000_000) for at_ns, folder, name in found]


def _thread_id(name: str) -> str:
    return name.removesuffix(".jsonl")[-_ID_CHARACTERS:]


def _newest_hint(home: Path) -> str:
    newest = [_thread_id(path.name) for path, _ in _newest_first(home)[:_NAMED_AT_MOST]]
    if not newest:
        return "There are no threads at all yet."
    return f"The newest are {', '.join(newest)}."


class _Part(msgspec.Struct, frozen=True, tag_field="type", tag="input_text"):
    text: str


class _OtherPart(msgspec.Struct, frozen=True, tag_field="type", tag="input_image"):
    pass


class _Message(msgspec.Struct, frozen=True):
    type: Literal["message"]
    content: list[_Part | _OtherPart] | str


def _preview(path: Path) -> str:
    decode = msgspec.json.Decoder(Event).decode
    try:
        with path.open("rb") as file:
            while file.tell() < _OPENING_BYTES and (line := file.readline(_OPENING_BYTES)):
                try:
                    event = decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                if isinstance(event, UserSpoke):
                    return _first_words(event.raw)
    except OSError:
        pass  # gone since it was listed
    return ""


def _first_words(raw: msgspec.Raw) -> str:
    try:
        content = msgspec.json.decode(raw, type=_Message).content
    except msgspec.DecodeError:
        return ""
    if not isinstance(content, str):
        content = " ".join(part.text for part in content if isinstance(part, _Part))
    words = " ".join(content[: PREVIEW_CHARACTERS * 4].split())
    if len(words) <= PREVIEW_CHARACTERS:
        return words
    return words[: PREVIEW_CHARACTERS - 1] + "…"
