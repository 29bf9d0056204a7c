"""A thread's log, and everything that can befall it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.store.events import AT_MS, THREAD_ID, later_events, noticed, number_of, said, started

from octavo.protocol.errors import StoreError, ThreadBusy
from octavo.protocol.events import CallEnded, Delta, Event, ItemBegan, Progress
from octavo.store.reading import read
from octavo.store.rollout import Rollout

ROOT = Path(__file__).parents[2]


def writer(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pipesize=4096,
        **options,
    )


def write(home: Path, *events: Event) -> Path:
    with Rollout.create(home, THREAD_ID, AT_MS) as rollout:
        for event in events:
            rollout.append(event)
    return rollout.path


def files(home: Path) -> list[str]:
    return sorted(str(p.relative_to(home)) for p in home.rglob("*") if not p.is_dir())


def test_a_log_gives_back_the_events_written_to_it(tmp_path: Path) -> None:
    events = [started(), said("hello"), noticed(1)]

    path = write(tmp_path, *events)

    assert path.name == f"rollout-2026-09-21T14-13-20-{THREAD_ID}.jsonl"
    assert path.parent == tmp_path / "sessions/2026/09/21"
    reading = read(path)
    assert (reading.events, reading.torn, reading.warnings) == (events, None, ())


def test_logs_and_their_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    path = write(home, started())

    assert path.stat().st_mode & 0o777 == 0o600
    folders = [path.parents[n] for n in range(5)]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 5
    assert folders[-1] == home


def test_a_thread_in_which_nothing_happened_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path)

    assert files(tmp_path) == []


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = write(tmp_path, started())

    with Rollout.open(path) as rollout:
        rollout.append(noticed(1))
        rollout.sync()

    assert read(path).events == [started(), noticed(1)]
    assert files(tmp_path) == [str(path.relative_to(tmp_path))]


def test_what_is_for_eyes_only_is_not_stored(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        started(),
        ItemBegan("t1", "i1", "message", AT_MS),
        Delta("t1", "i1", "he"),
        Progress("t1", "c1", "out"),
    )

    assert read(path).events == [started()]


def test_a_model_item_that_came_on_several_lines_is_stored_on_one(tmp_path: Path) -> None:
    raw = msgspec.Raw(b'{"type":\n "function_call_output",\r\n "output": "a\\nb"}')
    path = write(tmp_path, started(), CallEnded("t1", "c1", AT_MS, raw))

    event = read(path).events[1]

    assert isinstance(event, CallEnded)
    assert msgspec.json.decode(event.raw) == msgspec.json.decode(raw)


def test_a_name_that_is_not_utf8_is_an_error_that_says_so(tmp_path: Path) -> None:
    with Rollout.create(tmp_path, THREAD_ID, AT_MS) as rollout:
        with pytest.raises(StoreError, match="not UTF-8"):
            rollout.append(started(cwd=os.fsdecode(b"/work/\xff")))
        rollout.append(started())

    assert read(rollout.path).events == [started()]


def test_a_second_writer_is_told_who_is_writing(tmp_path: Path) -> None:
    path = write(tmp_path, started())
    holder = writer("hold", path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"

    with pytest.raises(ThreadBusy, match=rf"process {holder.pid} \(writer\.py hold\)"):
        Rollout.open(path)
    assert read(path).events == [started()]

    holder.kill()
    holder.wait()
    with Rollout.open(path) as rollout:
        rollout.append(noticed(1))
    assert read(path).events == [started(), noticed(1)]


def test_one_process_does_not_write_twice_either(tmp_path: Path) -> None:
    path = write(tmp_path, started())

    with Rollout.open(path), pytest.raises(ThreadBusy):
        Rollout.open(path)


def test_of_many_writers_at_once_one_wins_and_no_event_is_mixed(tmp_path: Path) -> None:
    path = write(tmp_path, started())
    won: list[int] = []

    def attempt(number: int) -> None:
        try:
            with Rollout.open(path) as rollout:
                rollout.append(noticed(number))
                won.append(number)
        except ThreadBusy:
            pass

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert won
    assert sorted(number_of(event) for event in read(path).events[1:]) == sorted(won)


def test_a_killed_writer_loses_at_most_the_event_being_written(
    tmp_path: Path, sample: Callable[[int, int], int]
) -> None:
    for round_ in range(sample(300, 12)):
        home = tmp_path / str(round_)
        process = writer("endless", home)
        assert process.stdout is not None
        for _ in range(random.randrange(1, 30)):
            process.stdout.readline()
        process.kill()
        acknowledged = process.stdout.read().split()
        process.wait()

        [path] = home.rglob("*.jsonl")
        reading = read(path)
        numbers = [number_of(event) for event in reading.events[1:]]
        assert numbers == list(range(len(numbers)))
        assert reading.warnings == ()
        assert len(numbers) >= len(acknowledged)
        if acknowledged:
            assert numbers[-1] - int(acknowledged[-1]) in (0, 1)

        with Rollout.open(path) as rollout:
            rollout.append(noticed(len(numbers)))
        again = read(path)
        assert again.events == [*reading.events, noticed(len(numbers))]
        assert len(again.warnings) == (reading.torn is not None)


def test_a_reader_beside_a_writer_sees_whole_events_in_order(tmp_path: Path) -> None:
    process = writer("endless", tmp_path)
    assert process.stdout is not None
    try:
        for _ in range(20):
            seen = int(process.stdout.readline())
            [path] = tmp_path.rglob("*.jsonl")
            reading = read(path)
            numbers = [number_of(event) for event in reading.events[1:]]
            assert numbers == list(range(len(numbers)))
            assert len(numbers) > seen
            assert reading.warnings == ()
    finally:
        process.kill()
        process.communicate()


def test_a_file_that_may_not_grow_keeps_its_whole_lines_and_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, started())

    process = writer("starve", path, "5000", stderr=subprocess.PIPE)
    _, said_ = process.communicate()

    assert b"could not be written" in said_
    assert b"Raise the limit on file sizes" in said_
    reading = read(path)
    assert [number_of(event) for event in reading.events[1:]] == [0, 1, 2, 3, 1000]
    assert (reading.torn, reading.warnings) == (None, ())


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs a file that refuses to shrink")
def test_a_torn_line_that_cannot_be_taken_back_stands_alone(tmp_path: Path) -> None:
    path = write(tmp_path, started())

    process = writer("starve-sealed", path, "5000", stderr=subprocess.PIPE)
    _, said_ = process.communicate()

    assert b"could not be written" in said_
    reading = read(path)
    assert [number_of(event) for event in reading.events[1:]] == [0, 1, 2, 3, 1000]
    assert reading.torn is None
    [warning] = reading.warnings
    assert warning.startswith(f"{path}:6 is not an event")


def test_a_full_disk_loses_only_what_it_did_not_take(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=400k tmpfs "$1" && exec "$2" -m tests.store.writer fill "$1" "$3"'
    )
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces, to mount a small file system")
    done = subprocess.run(
        [
            "unshare",
            "-Urm",
            "sh",
            "-c",
            script,
            "sh",
            tmp_path,
            sys.executable,
            tmp_path / "ballast",
        ],
        cwd=ROOT,
        capture_output=True,
    )

    assert done.returncode == 0, done.stderr
    assert b"No space left on device. Free some space, then continue the thread." in done.stderr
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(done.stdout)
    reading = read(copy)
    numbers = [number_of(event) for event in reading.events[1:]]
    assert numbers == [*range(len(numbers) - 1), 1000]
    assert len(numbers) > 100
    assert (reading.torn, reading.warnings) == (None, ())


def test_a_home_that_cannot_be_written_to_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("in the way")

    with pytest.raises(StoreError, match=r"Remove the file that is in the way"):
        Rollout.create(tmp_path, THREAD_ID, AT_MS)


def test_a_read_only_home_is_an_error_at_once(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode:
        pytest.skip("needs user namespaces, to mount a file system that is read-only for everyone")
    script = 'mount -t tmpfs -o ro tmpfs "$1" && exec "$2" -m tests.store.writer endless "$1"'
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", tmp_path, sys.executable],
        cwd=ROOT,
        capture_output=True,
    )

    assert done.returncode == 1
    assert b"Read-only file system. Set OCTAVO_HOME to a folder that can be" in done.stderr


def test_a_log_that_is_not_there_is_not_made_by_opening_it(tmp_path: Path) -> None:
    path = tmp_path / "rollout-x.jsonl"

    with pytest.raises(StoreError, match="There is no thread at"):
        Rollout.open(path)
    with pytest.raises(StoreError, match="There is no thread at"):
        read(path)

    assert files(tmp_path) == []


@given(st.lists(later_events, max_size=6), st.data())
def test_any_part_of_a_log_is_a_prefix_of_it(events: list[Event], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write(Path(name), started(), *events)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])

        reading = read(path)

        kept = len(reading.events)
        assert reading.events == [started(), *events][:kept]
        assert reading.warnings == ()
        lines = whole[:cut].split(b"\n")
        assert kept == len(lines) - (lines[-1] not in whole.split(b"\n")) - (lines[-1] == b"")
        assert reading.torn == (None if lines[-1] in whole.split(b"\n") else lines[-1])

        with Rollout.open(path) as rollout:
            rollout.append(noticed(1) if kept else started())
        again = read(path)
        assert again.events == [*reading.events, noticed(1) if kept else started()]
        assert len(again.warnings) == (reading.torn is not None)
