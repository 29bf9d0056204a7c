"""What nobody needs is let go, and work never is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octavo.agent.gc import collect
from octavo.agent.snapshots import folder_of
from octavo.config.settings import Gc
from octavo.protocol.errors import StoreError
from octavo.protocol.events import (
    RestoredFolder,
    SnapshotTaken,
    TurnEnded,
    TurnStarted,
    TurnsUndone,
)
from octavo.protocol.gc import GcResult
from octavo.protocol.ids import new_id
from octavo.store.index import Index
from octavo.store.index_tables import Filter
from octavo.store.kept import KeptOutput
from octavo.store.rollout import Rollout
from octavo.workspace.snapshot import SnapshotFailed, Span
from octavo.workspace.snapshot.holdings import holdings
from octavo.workspace.snapshot.packs import PackReader
from octavo.workspace.snapshot.store import Store
from tests.sampling import sample
from tests.store.logs import AT_MS, write_thread
from tests.workspace.test_snapshot import tree

OLD = Gc(max_age_days=30)
ALL = Gc(max_age_days=0, snapshots_bytes=0, outputs_bytes=0)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of its own: what lies in the machine's is looked at, too."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a").write_text("first")
    (root / "same").write_text("same" * 1000)
    return root


def turn(
    log: Path, root: Path, before: int, after: int, *, at_ms: int = AT_MS, ends: bool = True
) -> str:
    """Write a turn that took these snapshots."""
    turn_id = new_id()
    with Rollout.open(log) as thread:
        thread.append(TurnStarted(turn_id, at_ms, "m", "p", "/w", "workspace-write", "never"))
        thread.append(SnapshotTaken(turn_id, at_ms, str(root), before, "before"))
        if ends:
            thread.append(TurnEnded(turn_id, at_ms, "completed"))
            thread.append(SnapshotTaken(turn_id, at_ms, str(root), after, "after"))
    return turn_id


def worked(home: Path, root: Path, texts: list[str], log: Path, **more: object) -> Store:
    """Take a snapshot for each text that `a` becomes, and note them as of turns of a thread."""
    store = Store(root, folder_of(home, root))
    number = store.take()
    for text in texts:
        before = number
        (root / "a").write_text(text)
        number = store.take()
        turn(log, root, before, number, **more)  # type: ignore[arg-type]  # at_ms, ends
    return store


def archived(result: GcResult) -> dict[str, str]:
    """The files in the archives that were written, by their path."""
    found = {}
    for path in result.archives:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None and member.name != "ABOUT.txt":
                    found[member.name] = file.read().decode()
    return found


def test_old_snapshots_go_and_what_is_nowhere_else_is_archived(home: Path, root: Path) -> None:
    _, log = write_thread(home, ("do it", "done"))
    worked(home, root, ["second", "third", "first", "last"], log)

    shown = collect(home, OLD)
    assert [step.kind for step in shown.steps] == ["snapshots"]
    assert shown.steps[0].archives
    assert not shown.applied
    assert not (home / "archive").exists()

    done = collect(home, OLD, apply=True)

    assert [step.failed for step in done.steps] == [None]
    assert sorted(archived(done).values()) == ["first", "second", "third"]
    assert list(holdings(folder_of(home, root)).at_ms) == [5]
    assert collect(home, OLD).steps == ()
    # The next turn goes on from the one that is kept, and everything is there for it.
    store = Store(root, folder_of(home, root))
    before = store.take()
    wanted = tree(root)
    (root / "a").unlink()
    (root / "same").write_text("gone")
    store.undo([Span(before)])
    assert tree(root) == wanted


def test_a_process_that_knew_the_list_before_goes_on_with_the_new_one(
    home: Path, root: Path
) -> None:
    _, log = write_thread(home, ("do it", "done"))
    store = worked(home, root, ["second", "third"], log)
    collect(home, OLD, apply=True)

    (root / "same").write_text("changed")
    number = store.take()
    store.undo([Span(number - 1, number)])

    assert (root / "same").read_text() == "same" * 1000
    with pytest.raises(SnapshotFailed, match="octavo gc"):
        store.undo([Span(1, 2)])


def test_snapshots_of_turns_within_the_limit_stay(home: Path, root: Path) -> None:
    _, log = write_thread(home, ("do it", "done"))
    now_ms = time.time_ns() // 1_000_000
    store = worked(home, root, ["second"], log)
    (root / "a").write_text("third")
    turn(log, root, 2, store.take(), at_ms=now_ms)

    done = collect(home, OLD, apply=True)

    assert list(holdings(folder_of(home, root)).at_ms) == [2, 3]
    assert archived(done) == {"1/a": "first"}
    store.undo([Span(2, 3)])
    assert (root / "a").read_text() == "second"


def test_over_the_limit_of_bytes_the_oldest_go_first(home: Path, root: Path) -> None:
    _, log = write_thread(home, ("do it", "done"))
    now_ms = time.time_ns() // 1_000_000
    store = Store(root, folder_of(home, root))
    number = store.take()
    for place in range(6):
        (root / "a").write_bytes(os.urandom(10_000))
        before, number = number, store.take()
        turn(log, root, before, number, at_ms=now_ms + place)

    collect(home, Gc(snapshots_bytes=25_000), apply=True)

    assert list(holdings(folder_of(home, root)).at_ms) == [6, 7]


def undo_that_can_be_taken_back(log: Path, root: Path) -> None:
    turn_id = turn(log, root, 1, 2)
    with Rollout.open(log) as thread:
        folder = RestoredFolder(str(root), 2, 3)
        thread.append(TurnsUndone(AT_MS, (turn_id,), (folder,), (), conversation=True))


def turn_without_an_end(log: Path, root: Path) -> None:
    turn(log, root, 1, 2, ends=False)


@pytest.mark.parametrize("work", [undo_that_can_be_taken_back, turn_without_an_end])
def test_nothing_of_a_thread_with_unsaved_work_is_touched(
    home: Path, root: Path, work: object
) -> None:
    thread_id, log = write_thread(home, ("do it", "done"))
    worked(home, root, ["second", "third"], log)
    assert callable(work)
    work(log, root)
    kept_output(home, thread_id)
    before = tree(home)

    done = collect(home, ALL, apply=True)

    assert done.steps == ()
    assert any("last turn" in one.why or "last undo" in one.why for one in done.kept)
    assert tree(home) == before


def test_nothing_of_a_thread_that_is_open_is_touched(home: Path, root: Path) -> None:
    thread_id, log = write_thread(home, ("do it", "done"))
    worked(home, root, ["second", "third"], log)
    kept_output(home, thread_id)
    with Rollout.open(log):
        assert collect(home, ALL, apply=True).steps == ()
    assert len(collect(home, ALL, apply=True).steps) == 2


def test_a_folder_with_a_turn_under_way_is_left_alone(home: Path, root: Path) -> None:
    _, log = write_thread(home, ("do it", "done"))
    store = worked(home, root, ["second", "third"], log)
    store.hold()
    done = collect(home, OLD, apply=True)
    assert [step.failed for step in done.steps] == ["A turn is under way there."]
    assert len(holdings(folder_of(home, root)).at_ms) == 3

    store.release()
    assert [step.failed for step in collect(home, OLD, apply=True).steps] == [None]


def test_a_log_that_cannot_be_understood_keeps_all_snapshots(home: Path, root: Path) -> None:
    _thread_id, log = write_thread(home, ("do it", "done"))
    worked(home, root, ["second", "third"], log)
    _, newer = write_thread(home, ("do it", "done"))
    newer.write_bytes(
        newer.read_bytes().replace(
            b'"type":"thread_started"', b'"type":"thread_started","format":99', 1
        )
    )
    before = tree(home)

    done = collect(home, ALL, apply=True)

    assert done.steps == ()
    assert [one.what for one in done.kept] == ["all snapshots"]
    assert tree(home) == before


def kept_output(home: Path, thread_id: str, data: bytes = b"x" * 10_000) -> Path:
    output = KeptOutput.open(home, thread_id, new_id())
    output.write(data)
    output.close()
    return output.path


def age(path: Path, days: float) -> None:
    at = time.time() - days * 86_400
    os.utime(path, (at, at))


def test_outputs_go_by_age_then_by_size_and_those_of_deleted_threads_go(home: Path) -> None:
    thread_id, _ = write_thread(home, ("do it", "done"))
    old, middle, new = (kept_output(home, thread_id) for _ in range(3))
    orphan = kept_output(home, new_id())
    for path, days in ((old, 100.0), (middle, 20.0), (orphan, 1.0)):
        age(path, days)

    done = collect(home, Gc(outputs_bytes=middle.stat().st_blocks * 512), apply=True)

    assert {Path(step.path) for step in done.steps} == {old, middle, orphan}
    assert new.exists()
    assert not any(path.exists() for path in (old, middle, orphan))
    assert not orphan.parent.exists()


def test_what_killed_processes_left_goes_and_what_is_held_or_fresh_stays(home: Path) -> None:
    _, log = write_thread(home, ("do it", "done"))
    _, other = write_thread(home, ("do it", "done"))
    lock, empty = (
        log.with_suffix(".lock"),
        log.with_name(log.name.replace("rollout-2", "rollout-3")),
    )
    aside, mine = home / ".trust.json.999999999.0123abcd", home / f".x.{os.getpid()}.0123abcd"
    tried = home / "cache" / ".selftest-0123456789abcdef"
    tried.parent.mkdir()
    for path in (lock, empty, aside, mine, tried):
        path.touch()
        age(path, 1)
    fresh = home / ".y.999999999.0123abcd"
    fresh.touch()
    with Rollout.open(other):
        age(other.with_suffix(".lock"), 1)
        done = collect(home, Gc(), apply=True)
        assert other.with_suffix(".lock").exists()

    assert {Path(step.path) for step in done.steps} == {lock, empty, aside, tried}
    assert log.exists()
    assert not tried.exists()
    assert mine.exists()
    assert fresh.exists()
    assert not lock.exists()
    assert not empty.exists()
    assert not aside.exists()


def test_only_one_process_lets_go(home: Path) -> None:
    import fcntl

    fd = os.open(home, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="Another"):
            collect(home, ALL, apply=True)
        assert collect(home, ALL).steps == ()
    finally:
        os.close(fd)


def contents(home: Path, root: Path) -> set[bytes]:
    """All content that can be had: out of kept snapshots, and out of archives."""
    folder = folder_of(home, root)
    packs = PackReader(folder)
    found = {
        packs.read(piece.pack, piece.offset, piece.content)
        for piece in holdings(folder).pieces
        if piece.pack
    }
    packs.close()
    for path in (home / "archive").rglob("*.tar.xz"):
        with tarfile.open(path) as tar:
            files = [tar.extractfile(member) for member in tar if member.isfile()]
            found |= {file.read() for file in files if file is not None}
    return found


def killed_at(home: Path, moment: int) -> bool:
    """Let go in a process that is killed at its Nth change; False if it ended before."""
    pid = os.fork()
    if pid == 0:
        left = moment

        def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **more)

            return call

        for name in ("rename", "unlink", "fsync", "pwrite", "open", "mkdir"):
            setattr(os, name, deadly(getattr(os, name)))
        try:
            collect(home, ALL, apply=True)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_killed_at_any_moment_nothing_is_lost_and_it_is_done_the_next_time(
    tmp_path: Path,
) -> None:
    moments = 0
    for moment in range(1, 200, sample(1, 6)):
        place = tmp_path / str(moment)
        root, home = place / "work", place / "home"
        home.mkdir(parents=True)
        root.mkdir()
        (root / "a").write_text("first")
        (root / "same").write_text("same" * 1000)
        thread_id, log = write_thread(home, ("do it", "done"))
        store = worked(home, root, ["second" * 50, "third" * 50], log)
        kept_output(home, thread_id)
        before = contents(home, root)
        if not killed_at(home, moment):
            break
        moments += 1

        assert contents(home, root) >= before
        number = store.take()
        (root / "same").unlink()
        store.undo([Span(number)])
        assert (root / "same").exists()
        again = collect(home, ALL, apply=True)
        assert [step.failed for step in again.steps] == [None] * len(again.steps)
        assert contents(home, root) >= before
        assert [step.kind for step in collect(home, ALL).steps] == []
        assert not [*home.rglob("*.new")]
    assert moments > sample(15, 2)


def test_a_clone_that_a_killed_process_left_is_archived(home: Path, temporary: Path) -> None:
    clone, fresh = temporary / "octavo-skill-abc", temporary / "octavo-skill-def"
    for folder in (clone, fresh):
        folder.mkdir()
        (folder / "SKILL.md").write_text("edited here")
        (folder / "link").symlink_to("/etc/passwd")
    (temporary / "octavo-skill-link").symlink_to(home)
    age(clone, 2)

    done = collect(home, Gc(), apply=True)

    assert [(step.kind, step.path, step.archives) for step in done.steps] == [
        ("clone", str(clone), True)
    ]
    assert not clone.exists()
    assert fresh.exists()
    with tarfile.open(done.archives[0]) as tar:
        file = tar.extractfile("octavo-skill-abc/SKILL.md")
        assert file is not None
        assert file.read() == b"edited here"
        assert tar.getmember("octavo-skill-abc/link").linkname == "/etc/passwd"


_WORKER = """
import os, random, sys
from pathlib import Path
from octavo.agent.snapshots import folder_of
from octavo.workspace.snapshot import Span
from octavo.workspace.snapshot.store import Store
from tests.agent.test_gc import tree, turn

home, root, log, turns = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
store = Store(root, folder_of(home, root))
for number in range(turns):
    store.hold()
    before = store.take()
    was = tree(root)
    (root / f"f{number % 5}").write_text(f"{number} " * random.randrange(1, 2000))
    (root / f"f{number % 3}").unlink(missing_ok=True)
    after = store.take()
    if number % 3 == 0:
        assert store.undo([Span(before, after)]).left == ()
        assert tree(root) == was
    turn(log, root, before, after)
    store.release()
"""


def test_turns_go_on_while_another_process_lets_go(home: Path, root: Path) -> None:
    turns = sample(200, 12)
    _, log = write_thread(home, ("do it", "done"))
    argv = [sys.executable, "-c", _WORKER, str(home), str(root), str(log), str(turns)]
    rounds = 0
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as worker:
        while worker.poll() is None:
            done = collect(home, ALL, apply=True)
            assert {step.failed for step in done.steps} <= {None, "A turn is under way there."}
            rounds += 1
        assert worker.stderr is not None
        said = worker.stderr.read().decode()
    assert (worker.returncode, said) == (0, "")
    assert rounds > 1

    collect(home, ALL, apply=True)
    assert len(holdings(folder_of(home, root)).at_ms) == 1
    wanted, store = tree(root), Store(root, folder_of(home, root))
    number = store.take()
    for path in root.iterdir():
        path.unlink()
    store.undo([Span(number)])
    assert tree(root) == wanted


def test_the_index_forgets_threads_that_are_gone_and_gets_smaller(home: Path) -> None:
    logs = [write_thread(home, (f"word{n} " * 900, "done"))[1] for n in range(30)]
    index = Index(home)
    index.threads(Filter())
    before = index.path.stat().st_size
    for log in logs[1:]:
        log.unlink()

    assert [step.kind for step in collect(home, Gc()).steps] == ["index"]
    assert index.path.stat().st_size >= before
    assert [step.failed for step in collect(home, Gc(), apply=True).steps] == [None]

    assert index.path.stat().st_size < before
    assert len(index.threads(Filter()).rows) == 1
    assert collect(home, Gc()).steps == ()
