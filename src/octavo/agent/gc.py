"""Letting go of what is kept and not needed any more, and never of work.

What would be done is worked out first, and can be looked at. Nothing of a thread with unsaved work
is touched (`unsaved`), nothing that a living process holds, and content that exists nowhere else is
archived before it goes. Several may look at once; only one lets go.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from octavo.agent.skill_source import CLONE_PREFIX
from octavo.agent.snapshots import SNAPSHOTS, folder_of
from octavo.agent.unsaved import Work, works
from octavo.config.settings import Gc
from octavo.protocol.errors import OctavoError, StoreError
from octavo.protocol.gc import GcKept, GcResult, GcStep
from octavo.store import sweep
from octavo.store.index import Index
from octavo.store.sweep import ARCHIVE
from octavo.workspace.snapshot import SnapshotFailed
from octavo.workspace.snapshot.archive import archive_folder, new_name
from octavo.workspace.snapshot.holdings import Holdings, holdings
from octavo.workspace.snapshot.prune import plan, prune

DAY_MS = 86_400_000
NAME_SHOWN = 40


class _Item(msgspec.Struct):
    """A step, and what does it; it returns the archives it wrote."""

    step: GcStep
    do: Callable[[], list[Path]]


class _Folder(msgspec.Struct):
    """A workspace's snapshots: when each was last referred to, and those that must stay."""

    root: str | None
    there: Holdings
    used_ms: dict[int, int]
    unsaved: dict[int, str]

    def kept(self, since_ms: int) -> list[int]:
        """Return the snapshots that stay if those not referred to since then go."""
        last = max(self.there.at_ms, default=0)
        return [
            number
            for number in self.there.at_ms
            if number == last or number in self.unsaved or self.used_ms[number] >= since_ms
        ]


def collect(home: Path, limits: Gc, *, apply: bool = False) -> GcResult:
    """Work out what can be let go, and with `apply` let it go.

    Args:
        home: octavo's own directory.

    Raises:
        StoreError: another process is letting go; or `home` cannot be used.
    """
    if not home.is_dir():
        return GcResult(apply, (), (), (), 0)
    with _alone(home, apply):
        kept: list[GcKept] = []
        known = works(home)
        now_ms = time.time_ns() // 1_000_000
        items = [
            # On a full disk, what needs no room goes first: it makes room for archives.
            *_left_behind(home),
            *_outputs(home, known, limits, now_ms, kept),
            *_clones(home),
            *_snapshots(home, known, limits, now_ms, kept),
        ]
        steps, archives = _done(items) if apply else ([item.step for item in items], [])
        index = _index(home)
        for item in index:  # last: of threads that are gone by now
            more, _ = _done([item]) if apply else ([item.step], [])
            steps += more
    freed = sum(step.bytes for step in steps if step.failed is None)
    return GcResult(apply, tuple(steps), tuple(kept), tuple(map(str, archives)), freed)


def _done(items: Sequence[_Item]) -> tuple[list[GcStep], list[Path]]:
    steps: list[GcStep] = []
    archives: list[Path] = []
    for item in items:
        step = item.step
        try:
            archives += item.do()
        except (OctavoError, SnapshotFailed) as failure:
            step = msgspec.structs.replace(step, failed=str(failure))
        except OSError as failure:
            step = msgspec.structs.replace(step, failed=failure.strerror or str(failure))
        steps.append(step)
    return steps, archives


def _snapshots(
    home: Path, known: dict[str, Work], limits: Gc, now_ms: int, kept: list[GcKept]
) -> Iterator[_Item]:
    strange = [work for work in known.values() if not work.is_known]
    if strange:
        which = ", ".join(work.thread_id for work in strange[:3])
        kept.append(
            GcKept("all snapshots", f"which ones these threads need cannot be told: {which}")
        )
        return
    folders = list(_folders(home, known, kept))
    since_ms = _since(folders, now_ms - limits.max_age_days * DAY_MS, limits.snapshots_bytes)
    for folder in folders:
        numbers = folder.kept(since_ms)
        what = plan(folder.there, numbers)
        for number, why in folder.unsaved.items():
            if folder.used_ms[number] < since_ms:
                kept.append(GcKept(f"snapshot {number} of {_name(folder)}", why))
        if what.does_nothing:
            continue
        detail = f"{what.dropped} of {len(folder.there.at_ms)} snapshots of {_name(folder)}"
        if what.strays and not what.dropped:
            detail = f"what a cut off snapshot of {_name(folder)} left"
        yield _Item(
            GcStep(
                "snapshots",
                str(folder.there.folder),
                detail,
                what.freed_bytes,
                archives=bool(what.lost or what.strays),
            ),
            _pruning(home, folder, numbers),
        )
    total = sum(folder.there.live_bytes(folder.kept(since_ms)) for folder in folders)
    if total > limits.snapshots_bytes:
        kept.append(
            GcKept(
                f"{total:,} bytes of snapshots, over the limit of {limits.snapshots_bytes:,}",
                "the last one of each workspace stays, and those of threads with unsaved work",
            )
        )


def _pruning(home: Path, folder: _Folder, numbers: list[int]) -> Callable[[], list[Path]]:
    about = (
        f"Files of {_name(folder)} as they were at some time, each below the number of the last\n"
        "snapshot it was part of. octavo let those snapshots go; this content was nowhere else.\n"
    )
    archive = home / ARCHIVE / SNAPSHOTS
    called = "".join(c if c.isalnum() else "-" for c in Path(folder.root or "").name)[:NAME_SHOWN]
    name = f"{called or 'unknown'}-{folder.there.folder.name[:8]}"
    return lambda: prune(folder.there.folder, numbers, archive, name, about)[1]


def _folders(home: Path, known: dict[str, Work], kept: list[GcKept]) -> Iterator[_Folder]:
    roots = {root for work in known.values() for root in work.snapshots}
    named = {folder_of(home, Path(root)).name: root for root in roots}
    for path in sorted((home / SNAPSHOTS).glob("*")):
        if not (path / "lock").exists():
            continue
        root = named.get(path.name)
        try:
            there = holdings(path)
        except (SnapshotFailed, OSError) as failure:
            kept.append(GcKept(f"the snapshots in {path}", f"they cannot be read: {failure}"))
            continue
        # What no log names is of a thread that was deleted, or else held: see `Store.hold`.
        used_ms = dict.fromkeys(there.at_ms, 0)
        unsaved: dict[int, str] = {}
        for work in known.values():
            referred = {} if root is None else work.snapshots.get(root, {})
            for number, at_ms in referred.items():
                if number in used_ms:
                    used_ms[number] = max(used_ms[number], at_ms)
                    if work.unsaved is not None:
                        unsaved[number] = f"thread {work.thread_id}: {work.unsaved}"
        yield _Folder(root, there, used_ms, unsaved)


def _since(folders: list[_Folder], since_ms: int, limit_bytes: int) -> int:
    """Return from when on snapshots are kept, so that they fit the limit as far as that can be."""

    def fits(at_ms: int) -> bool:
        total = sum(folder.there.live_bytes(folder.kept(at_ms)) for folder in folders)
        return total <= limit_bytes

    times = sorted({at + 1 for one in folders for at in one.used_ms.values() if at >= since_ms})
    if fits(since_ms) or not times:
        return since_ms
    low, high = 0, len(times) - 1
    while low < high:
        middle = (low + high) // 2
        if fits(times[middle]):
            high = middle
        else:
            low = middle + 1
    return times[low]


def _outputs(
    home: Path, known: dict[str, Work], limits: Gc, now_ms: int, kept: list[GcKept]
) -> Iterator[_Item]:
    found = sweep.outputs(home, {work.thread_id: work.log for work in known.values()})
    found.sort(key=lambda one: one.written_s)
    left_bytes = sum(one.size_bytes for one in found)
    oldest_s = now_ms / 1000 - limits.max_age_days * 86_400
    spared: dict[str, str] = {}
    for output in found:
        is_old = output.written_s < oldest_s
        is_orphan = output.log is None and output.written_s < time.time() - sweep.STALE_S
        if not (is_old or is_orphan or left_bytes > limits.outputs_bytes):
            continue
        work = known.get(output.thread_id)
        if work is not None and work.unsaved is not None:
            spared[work.thread_id] = work.unsaved
            continue
        if output.log is None and not is_orphan:
            continue
        left_bytes -= output.size_bytes
        why = "its thread is gone" if is_orphan else "too old" if is_old else "over the limit"
        detail = f"output of a command of thread {output.thread_id}: {why}"
        yield _Item(
            GcStep("output", str(output.path), detail, output.size_bytes), _removing(output)
        )
    kept += [GcKept(f"outputs of thread {one}", why) for one, why in spared.items()]


def _removing(output: sweep.Output) -> Callable[[], list[Path]]:
    def do() -> list[Path]:
        sweep.remove_output(output)
        return []

    return do


_LEFT = {
    "lock": "a lock that nobody holds",
    "log": "the log of a thread in which nothing was said",
    "write": "a file that was being written when its process ended",
}


def _left_behind(home: Path) -> Iterator[_Item]:
    for left in sweep.left_behind(home):

        def do(left: sweep.Left = left) -> list[Path]:
            sweep.remove_left(left)
            return []

        yield _Item(GcStep(left.kind, str(left.path), _LEFT[left.kind], left.size_bytes), do)


def _clones(home: Path) -> Iterator[_Item]:
    """Folders that a process fetched something into and was killed before it removed them."""
    import tempfile

    old_s = time.time() - 86_400
    for path in sorted(Path(tempfile.gettempdir()).glob(CLONE_PREFIX + "*")):
        try:
            found = path.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and found.st_mtime < old_s:
            size = sum(one.lstat().st_size for one in path.rglob("*") if not one.is_dir())
            detail = "a clone that was fetched for a skill, and left"
            yield _Item(GcStep("clone", str(path), detail, size, True), _archiving(home, path))


def _archiving(home: Path, folder: Path) -> Callable[[], list[Path]]:
    def do() -> list[Path]:
        import shutil

        target = new_name(home / ARCHIVE / "clones", folder.name)
        archive_folder(target, folder, f"{folder}, as a process that was killed had left it.\n")
        shutil.rmtree(folder)
        return [target]

    return do


def _index(home: Path) -> list[_Item]:
    index = Index(home)
    slack = index.slack()
    if slack is None or not slack.is_worth_it:
        return []

    def do() -> list[Path]:
        index.compact()
        return []

    detail = f"the index of threads, with {slack.gone} that are gone"
    return [_Item(GcStep("index", str(index.path), detail, slack.free_bytes), do)]


@contextmanager
def _alone(home: Path, apply: bool) -> Iterator[None]:
    """Keep others from letting go meanwhile; the lock is on the directory itself."""
    if not apply:
        yield
        return
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StoreError(
            "Another `octavo gc` is at work.", hint="Wait until it has ended, then look again."
        ) from None
    try:
        yield
    finally:
        os.close(fd)


def _name(folder: _Folder) -> str:
    return folder.root or f"a workspace that no thread names any more ({folder.there.folder.name})"
