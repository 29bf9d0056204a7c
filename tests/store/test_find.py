"""Finding threads by id, by folder and by time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.events import AT_MS, said, started

from octavo.protocol.errors import StoreError
from octavo.protocol.events import Event
from octavo.protocol.ids import new_id
from octavo.store.find import Thread, find, last, recent
from octavo.store.rollout import Rollout

DAY_MS = 86_400_000
A, B, C = (f"0199000{n}-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


def write(home: Path, thread_id: str, *, cwd: str = "/a", day: int = 0, text: str = "") -> Path:
    at_ms = AT_MS + day * DAY_MS
    events: list[Event] = [started(thread_id, cwd, at_ms)]
    if text:
        events.append(said(text))
    with Rollout.create(home, thread_id, at_ms) as rollout:
        for event in events:
            rollout.append(event)
    os.utime(rollout.path, (at_ms / 1000, at_ms / 1000))
    return rollout.path


def test_a_thread_is_found_by_its_id_or_by_how_it_begins(tmp_path: Path) -> None:
    paths = {thread_id: write(tmp_path, thread_id) for thread_id in (A, B, C)}

    assert {wanted: find(tmp_path, wanted) for wanted in (A, B, C)} == paths
    assert find(tmp_path, "01990002") == paths[B]
    assert find(tmp_path, f" {B.upper()}\n") == paths[B]


def test_a_beginning_that_several_share_names_them(tmp_path: Path) -> None:
    for thread_id in (A, B, C):
        write(tmp_path, thread_id)

    with pytest.raises(StoreError, match=f"3 threads begin with '0199': {C}, {B}, {A}"):
        find(tmp_path, "0199")


@pytest.mark.parametrize("wanted", ["ffff", "", "../../etc", "*"])
def test_an_id_of_no_thread_is_an_error_that_names_the_newest(tmp_path: Path, wanted: str) -> None:
    write(tmp_path, A, day=1)
    write(tmp_path, B, day=0)

    with pytest.raises(StoreError, match=f"The newest are {A}, {B}"):
        find(tmp_path, wanted)


def test_without_threads_the_errors_say_so(tmp_path: Path) -> None:
    home = tmp_path / "none"

    with pytest.raises(StoreError, match="There are no threads at all yet"):
        find(home, "0199")
    with pytest.raises(StoreError, match="Begin one with `octavo exec`"):
        last(home, cwd=None)
    assert recent(home, cwd=None) == []


def test_the_last_thread_is_the_one_last_written_to(tmp_path: Path) -> None:
    old = write(tmp_path, A, day=0)
    new = write(tmp_path, B, day=400)
    assert last(tmp_path, cwd="/a") == new

    os.utime(old, (4e9, 4e9))

    assert last(tmp_path, cwd="/a") == old


def test_the_last_thread_of_a_folder_began_there(tmp_path: Path) -> None:
    here = write(tmp_path, A, cwd="/here")
    there = write(tmp_path, B, cwd="/there", day=1)

    assert last(tmp_path, cwd="/here") == here
    assert last(tmp_path, cwd=None) == there
    with pytest.raises(StoreError, match="No thread has begun in /elsewhere"):
        last(tmp_path, cwd="/elsewhere")


def test_the_list_shows_the_newest_threads_and_how_they_began(tmp_path: Path) -> None:
    one = write(tmp_path, A, text="fix\n  the   tests")
    two = write(tmp_path, B, text="long " * 1000, day=31)
    write(tmp_path, C, cwd="/b", day=-1)
    foreign = one.with_name(f"rollout-2026-01-01T00-00-00-{new_id()}.jsonl")
    foreign.write_text('{"type":"session_meta"}\n')

    listed = recent(tmp_path, cwd="/a")

    at = AT_MS + 31 * DAY_MS
    assert [(thread.thread_id, thread.path) for thread in listed] == [(B, two), (A, one)]
    assert listed[1] == Thread(A, one, "/a", AT_MS, AT_MS, "fix the tests")
    assert (listed[0].at_ms, listed[0].written_at_ms) == (at, at)
    assert listed[0].preview == ("long " * 24)[:119] + "…"
    assert [thread.thread_id for thread in recent(tmp_path, cwd=None, limit=1)] == [B]
    assert [thread.preview for thread in recent(tmp_path, cwd="/b")] == [""]
