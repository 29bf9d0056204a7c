"""Which threads hold work that must not be lost, and which snapshots they would go back to.

Read from the logs' lines alone, as their writer fixes how they begin: a thread need not be opened
for this, and one that is damaged or of a newer octavo is known not to be understood.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from octavo.protocol.errors import StoreError
from octavo.protocol.events import ForkedFrom, RestoredFolder
from octavo.store.find import logs, thread_id_of
from octavo.store.reading import check_header
from octavo.store.rollout import writer_of

_WANTED = tuple(
    f'{{"type":"{tag}"'.encode()
    for tag in (
        *("turn_started", "turn_ended", "snapshot_taken", "turns_undone", "undo_undone"),
        "thread_started",
    )
)


class Work(msgspec.Struct):
    """A thread, as far as letting things go is concerned.

    Attributes:
        unsaved: why nothing of it may be touched; None where something may.
        snapshots: by folder: when the thread last referred to each snapshot, in milliseconds.
        forked_from: the thread whose log this one begins in.
        is_known: whether its log could be understood.
    """

    thread_id: str
    log: Path
    unsaved: str | None = None
    snapshots: dict[str, dict[int, int]] = {}
    forked_from: str | None = None
    is_known: bool = True


class _Line(msgspec.Struct):
    type: str
    at_ms: int = 0
    turn_id: str = ""
    root: str = ""
    number: int = 0
    outcome: str = ""
    folders: tuple[RestoredFolder, ...] = ()
    forked_from: ForkedFrom | None = None


_decode = msgspec.json.Decoder(_Line).decode


def works(home: Path) -> dict[str, Work]:
    """Return every thread of `home` by its id."""
    found: dict[str, Work] = {}
    for log in logs(home):
        if log.thread_id not in found:
            found[log.thread_id] = _work(Path(log.path))
    for work in list(found.values()):
        if work.unsaved is None:
            continue
        base = work.forked_from
        while base is not None and base in found and found[base].unsaved is None:
            found[base].unsaved = f"thread {work.thread_id} goes on from it: {work.unsaved}"
            base = found[base].forked_from
    return found


def _work(path: Path) -> Work:
    work = Work(thread_id_of(path), path)
    try:
        check_header(path)
        _read(work)
    except StoreError as failure:
        work.unsaved, work.is_known = str(failure).split("\n")[0], False
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as failure:
        work.unsaved, work.is_known = f"its log cannot be understood: {failure}", False
    if writer := writer_of(path):
        work.unsaved = f"{writer} has it open"
    return work


def _read(work: Work) -> None:
    running, outcome, undone = False, "", False
    with work.log.open("rb") as file:
        for raw in file:
            if not raw.startswith(_WANTED):
                continue
            if not raw.endswith(b"\n"):
                work.unsaved = "its last event was cut off"
                return
            line = _decode(raw)
            match line.type:
                case "thread_started":
                    base = line.forked_from
                    work.forked_from = None if base is None else base.thread_id
                case "turn_started":
                    running, undone = True, False
                case "turn_ended":
                    running, outcome = False, line.outcome
                case "turns_undone":
                    undone = True
                    for folder in line.folders:
                        _refer(work, folder.root, folder.before, line.at_ms)
                        _refer(work, folder.root, folder.after, line.at_ms)
                case "undo_undone":
                    undone = False
                case _:
                    _refer(work, line.root, line.number, line.at_ms)
    if running:
        work.unsaved = "its last turn has not ended"
    elif outcome == "crashed":
        work.unsaved = "its last turn was cut off"
    elif undone:
        work.unsaved = "its last undo can still be taken back"


def _refer(work: Work, root: str, number: int, at_ms: int) -> None:
    numbers = work.snapshots.setdefault(root, {})
    numbers[number] = max(at_ms, numbers.get(number, 0))
