"""Outputs that are kept whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from octavo.store.kept import KeptOutput, find_kept
from octavo.tools import OutputFile


def test_an_output_is_kept_whole_for_its_owner_alone(tmp_path: Path) -> None:
    kept: OutputFile = KeptOutput.open(tmp_path, "thread", "call_1")
    kept.write(b"one\n")
    kept.write(b"two\n")
    kept.close()
    kept.close()

    assert kept.path == tmp_path / "outputs/thread/call_1.log"
    assert kept.path.read_bytes() == b"one\ntwo\n"
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_over_the_limit_is_counted_and_dropped(tmp_path: Path) -> None:
    kept = KeptOutput.open(tmp_path, "thread", "call_1", limit_bytes=10)
    for _ in range(3):
        kept.write(b"0123456")
    kept.close()

    assert kept.path.read_text() == (
        "0123456012\n[octavo kept the first 10 bytes of this output; 11 more were dropped]\n"
    )


def test_an_empty_output_leaves_no_file(tmp_path: Path) -> None:
    kept = KeptOutput.open(tmp_path, "thread", "call_1")
    kept.close()

    assert list(kept.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("call_id", "name"),
    [
        ("../../etc/passwd", "______etc_passwd.log"),
        ("", "call.log"),
        ("a\0b\n", "a_b_.log"),
        ("é" * 300, "_" * 100 + ".log"),
    ],
)
def test_a_call_id_cannot_lead_out_of_the_folder(tmp_path: Path, call_id: str, name: str) -> None:
    kept = KeptOutput.open(tmp_path, "thread", call_id)

    assert kept.path == tmp_path / "outputs/thread" / name


def test_a_call_id_that_comes_again_gets_a_file_of_its_own(tmp_path: Path) -> None:
    names = [KeptOutput.open(tmp_path, "thread", "call_1").path.name for _ in range(3)]

    assert names == ["call_1.log", "call_1.2.log", "call_1.3.log"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_an_oserror_and_what_was_kept_stays(tmp_path: Path) -> None:
    import os

    full = KeptOutput(tmp_path / "full", os.open("/dev/full", os.O_WRONLY), 100)

    with pytest.raises(OSError, match="No space left"):
        full.write(b"x" * 200)
    full.close()


def test_what_was_kept_is_found_by_its_call_with_its_end(tmp_path: Path) -> None:
    assert find_kept(tmp_path, "thread", "call/1", 4) is None
    kept = KeptOutput.open(tmp_path, "thread", "call/1")
    kept.write(b"0123456789")  # its writer is killed: nobody closes it

    assert find_kept(tmp_path, "thread", "call/1", 4) == (kept.path, b"6789")
    assert find_kept(tmp_path, "thread", "call/1", 400) == (kept.path, b"0123456789")
    assert find_kept(tmp_path, "other", "call/1", 4) is None

    KeptOutput.open(tmp_path, "thread", "call?1").write(b"of another call")
    assert find_kept(tmp_path, "thread", "call/1", 4) is None
