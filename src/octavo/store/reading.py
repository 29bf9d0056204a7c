"""The log of a thread, as it is read back.

What was written whole is read back whole, whatever happened to the rest: a torn last line is
handed over as it is, a line that is no event is passed over with a warning, and nothing is ever
mended in the file. Only a log of a newer format is refused, since half-understood events are worse
than none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from octavo.protocol.errors import StoreError
from octavo.protocol.events import FORMAT, Event, ThreadStarted

_BUFFER_BYTES = 1 << 20
_BEGINNING = b'{"type":"thread_started"'


class Reading(msgspec.Struct, frozen=True):
    """What a log says.

    Attributes:
        events: oldest first; none when the process died before the first was written.
        torn: what there is of an event that was being written when its process died.
        warnings: a sentence for each line that was passed over.
    """

    events: list[Event]
    torn: bytes | None = None
    warnings: tuple[str, ...] = ()


class _Header(msgspec.Struct, frozen=True):
    type: str
    format: int = 1


def read(path: Path, *, end_bytes: int | None = None) -> Reading:
    """Read the log at `path`, or only so much of it; another process may be writing to it.

    Raises:
        StoreError: there is no such log, it is not octavo's, or a newer octavo wrote it.
    """
    events: list[Event] = []
    warnings: list[str] = []
    torn = None
    is_ours = False
    decode = msgspec.json.Decoder(Event).decode
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as file:
            left_bytes = end_bytes or 0
            for number, line in enumerate(file, 1):
                if end_bytes is not None:
                    left_bytes -= len(line)
                    if left_bytes < 0:
                        break
                if number == 1:
                    _check_header(line, path)
                    is_ours = len(line) > 1 and _BEGINNING.startswith(
                        line[: len(_BEGINNING)].strip()
                    )
                try:
                    events.append(decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError) as failure:
                    if not line.endswith(b"\n"):
                        torn = line
                        break  # what a writer has added since continues this line, not the log
                    if line.strip():
                        warnings.append(f"{path}:{number} is not an event ({failure}); skipped")
    except OSError as failure:
        raise _unreadable(path, failure) from failure
    # Of a thread whose disk was full from the start there may be but beginnings of events.
    begins_well = isinstance(events[0], ThreadStarted) if events else is_ours or not warnings
    if not begins_well:
        raise _foreign(path)
    return Reading(events, torn, tuple(warnings))


def read_header(path: Path) -> ThreadStarted | None:
    """Return how the log at `path` begins; None when it is not a whole log of this format."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=ThreadStarted)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_header(path: Path) -> None:
    """See that the log at `path` is one that can be read.

    Raises:
        StoreError: there is no such log, it is not octavo's, or a newer octavo wrote it.
    """
    try:
        with path.open("rb") as file:
            line = file.readline()
    except OSError as failure:
        raise _unreadable(path, failure) from failure
    _check_header(line, path)
    if line.endswith(b"\n") and read_header(path) is None:
        raise _foreign(path)


def _check_header(line: bytes, path: Path) -> None:
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # damaged, which is not the same as foreign
    if header.type != "thread_started":
        raise _foreign(path)
    if header.format > FORMAT:
        raise StoreError(
            f"The thread at {path} was written by a newer octavo"
            f" (format {header.format}; this one reads up to {FORMAT}).",
            hint="Upgrade octavo, then try again.",
        )


def _foreign(path: Path) -> StoreError:
    return StoreError(
        f"{path} does not begin as a thread of octavo does.",
        hint="Name another thread, or begin a new one.",
    )


def _unreadable(path: Path, failure: OSError) -> StoreError:
    if isinstance(failure, FileNotFoundError):
        return StoreError(
            f"There is no thread at {path}.",
            hint="`octavo exec resume --last` continues the newest thread of this folder.",
        )
    return StoreError(
        f"The thread at {path} could not be read: {failure.strerror or failure}.",
        hint="Check that the file is yours to read, then try again.",
    )
