"""Taking turns back: what they did to files, what was said in them, or both.

Nothing of the log is removed. Files are restored from snapshots, around what the person edited
since; the conversation is shown to the model only up to where the first of the turns began.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread

from octavo.agent.clock import now_ms
from octavo.agent.journal import Journal
from octavo.agent.snapshots import Snapshots
from octavo.protocol.errors import StoreError, UsageError
from octavo.protocol.events import RestoredFolder, TurnsUndone, UndoUndone
from octavo.protocol.fold import Turn
from octavo.protocol.visible import visible_line
from octavo.workspace.snapshot import Change, EditedSince, SnapshotFailed, Span, Undone

PATHS_SHOWN = 10
PATHS_KEPT = 1_000
"""How many restored files are named in the log."""


async def undo(
    journal: Journal,
    snapshots: Snapshots,
    turn_id: str | None = None,
    *,
    files: bool = True,
    conversation: bool = True,
    overwrite: bool = False,
) -> tuple[TurnsUndone, tuple[str, ...]]:
    """Take back a turn, and all after it.

    Args:
        turn_id: the turn, or how its id begins; None is the last one.
        overwrite: restore files that somebody else edited since, too.

    Returns:
        What happened, and the files that could not be restored.

    Raises:
        UsageError: there is no such turn, or somebody's edits would be lost. Nothing was changed.
        StoreError: the files cannot be restored. They are as they were.
    """
    turns = _turns(journal, turn_id)
    done: list[tuple[Path, Undone]] = []
    if files:
        for root, spans in _spans(turns, overwrite=overwrite):
            try:
                done.append((root, await _restore(snapshots, root, spans, overwrite=overwrite)))
            except (UsageError, StoreError):
                for other, undone in reversed(done):
                    back = Span(undone.before, undone.after)
                    await _restore(snapshots, other, [back], overwrite=True)
                raise
    event = TurnsUndone(
        now_ms(),
        tuple(turn.started.turn_id for turn in turns),
        tuple(RestoredFolder(str(root), one.before, one.after) for root, one in done),
        tuple(_paths(done, lambda one: one.changes)[:PATHS_KEPT]),
        conversation,
    )
    journal.emit(event)
    snapshots.release()
    await journal.sync()
    return event, tuple(_paths(done, lambda one: one.left))


async def undo_undo(
    journal: Journal, snapshots: Snapshots, *, overwrite: bool = False
) -> tuple[str, ...]:
    """Take the last undoing back; return the files that could not be.

    Raises:
        UsageError: nothing was undone, or the thread went on since.
        StoreError: the files cannot be restored. They are as they were.
    """
    last = journal.thread.undone
    if last is None:
        raise UsageError(
            "There is no undo to take back.", hint="One can be until the thread goes on."
        )
    done = []
    for folder in last.folders:
        root, spans = Path(folder.root), [Span(folder.before, folder.after)]
        done.append((root, await _restore(snapshots, root, spans, overwrite=overwrite)))
    journal.emit(UndoUndone(now_ms()))
    snapshots.release()
    await journal.sync()
    return tuple(_paths(done, lambda one: one.left))


def _turns(journal: Journal, turn_id: str | None) -> list[Turn]:
    thread = journal.thread
    if thread.turn is not None:
        raise UsageError("A turn is running.", hint="Wait until it ends, or interrupt it.")
    if thread.running:
        raise UsageError(
            "A command of this thread is still running, and may be writing.",
            hint="End it first: interrupt it, or close the thread.",
        )
    turns = [turn for turn in thread.turns if not turn.undone]
    if not turns:
        redo = "`octavo undo --redo` takes the last undo back." if thread.undone else None
        raise UsageError("There is no turn to undo.", hint=redo)
    if turn_id is None:
        return turns[-1:]
    found = [at for at, turn in enumerate(turns) if turn.started.turn_id.startswith(turn_id)]
    if len(found) != 1:
        how = "There is no turn" if not found else "There are several turns whose id begins with"
        raise UsageError(f"{how} {visible_line(turn_id)}.", hint="`octavo undo --list` shows them.")
    return turns[found[0] :]


def _spans(turns: Sequence[Turn], *, overwrite: bool) -> list[tuple[Path, list[Span]]]:
    """Return what happened to each folder in `turns`, the latest first."""
    spans: dict[str, list[Span]] = {}
    for turn in reversed(turns):
        for root, before in turn.before.items():
            after = turn.after.get(root)
            if after is None:
                if turn.ended is None or turn.ended.outcome != "crashed":
                    continue  # it changed nothing
                if not overwrite:
                    raise UsageError(
                        "octavo was cut off in that turn, so it cannot tell its own changes from"
                        " yours.",
                        hint="To restore all files as they were before it: --overwrite.",
                    )
            spans.setdefault(root, []).append(Span(before, after))
    return [(Path(root), found) for root, found in spans.items()]


async def _restore(
    snapshots: Snapshots, root: Path, spans: Sequence[Span], *, overwrite: bool
) -> Undone:
    if not await anyio.to_thread.run_sync(root.is_dir):
        raise UsageError(
            f"{visible_line(str(root))}, whose files that turn changed, is not there any more."
            " Nothing was undone.",
            hint="Move it back to where it was; or undo the conversation alone: --conversation.",
        )
    store = snapshots.store(root)
    try:
        await anyio.to_thread.run_sync(store.hold)
        return await anyio.to_thread.run_sync(lambda: store.undo(spans, overwrite=overwrite))
    except EditedSince as edited:
        shown = [visible_line(os.fsdecode(path)) for path in edited.paths[:PATHS_SHOWN]]
        more = len(edited.paths) - len(shown)
        names = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        raise UsageError(
            f"These files were edited after octavo changed them: {names}. Nothing was undone.",
            hint="Undo all the same, and lose those edits: --overwrite. Or undo the conversation "
            "alone: --conversation.",
        ) from None
    except SnapshotFailed as failure:
        raise StoreError(str(failure)) from None


def _paths(
    done: Sequence[tuple[Path, Undone]], which: Callable[[Undone], Sequence[Change]]
) -> list[str]:
    return [
        os.path.join(root, os.fsdecode(change.path)) for root, one in done for change in which(one)
    ]
