"""Finding threads by id, by folder and by time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.store.events import AT_MS, said, started

from octavo.protocol.errors import StoreError
from octavo.protocol.events import Event
from octavo.store.find import ARCHIVED, SESSIONS, find, is_archived
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

    with pytest.raises(StoreError, match=f"The newest: {A}, {B}"):
        find(tmp_path, wanted)


def test_without_threads_the_errors_say_so(tmp_path: Path) -> None:
    home = tmp_path / "none"

    with pytest.raises(StoreError, match="There are no threads at all yet"):
        find(home, "0199")


def test_an_archived_thread_is_found_too_and_known_as_such(tmp_path: Path) -> None:
    kept, put_away = write(tmp_path, A), write(tmp_path, B)
    moved = tmp_path / ARCHIVED / put_away.relative_to(tmp_path / SESSIONS)
    moved.parent.mkdir(parents=True)
    put_away.rename(moved)

    assert find(tmp_path, "01990002") == moved
    assert (is_archived(tmp_path, moved), is_archived(tmp_path, kept)) == (True, False)
    with pytest.raises(StoreError, match=f"The newest: {A}"):
        find(tmp_path, "ffff")
