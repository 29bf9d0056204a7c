"""What sections come to together, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tools.patch.folder import CWD, patched, planned, update

from octavo.protocol.events import FileEdit
from octavo.sandbox import Delete, FileState, Write
from octavo.tools.patch import PatchError
from octavo.tools.patch.parse import parse
from octavo.tools.patch.plan import paths


def patch(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def test_the_paths_to_read_are_named_once() -> None:
    text = patch(
        *("*** Update File: a/../b", "*** Move to: ./c", "*** Delete File: b"),
        *("*** Add File: /etc/x", "+x", "*** Add File: ../up", "+x"),
    )
    assert paths(parse(text), CWD) == [CWD / "b", CWD / "c", Path("/etc/x"), Path("/up")]


def test_a_plan_says_what_it_changes() -> None:
    text = patch(
        *("*** Update File: m", "@@", "-x", "+y", "*** Delete File: d", "*** Add File: n", "+n"),
        *("*** Update File: from", "*** Move to: to", "@@", "-x", "+z"),
    )
    plan = planned({"m": b"x\n", "d": b"d\n", "from": FileState("file", b"x\n", 0o755)}, text)
    assert plan.changes == (
        Write(CWD / "m", b"y\n", before=b"x\n", overwrite=True),
        Delete(CWD / "d", before=b"d\n"),
        Write(CWD / "n", b"n\n"),
        Delete(CWD / "from", before=b"x\n"),
        Write(CWD / "to", b"z\n", mode=0o755),
    )
    assert plan.edits == (
        FileEdit("/work/m", "update", "@@ -1 +1 @@\n-x\n+y\n"),
        FileEdit("/work/d", "delete", "@@ -1 +0,0 @@\n-d\n"),
        FileEdit("/work/n", "add", "@@ -0,0 +1 @@\n+n\n"),
        FileEdit("/work/from", "update", "@@ -1 +1 @@\n-x\n+z\n", "/work/to"),
    )
    assert plan.summary == ("Success. Updated the following files:\nA n\nM m\nM to\nD d\n")


def test_sections_see_what_the_sections_before_did() -> None:
    text = patch(
        *("*** Add File: a", "+one", "+two", "*** Update File: a", "@@", "-two", "+TWO"),
        *("*** Update File: b", "@@", "-x", "+y", "*** Update File: b", "@@", "-y", "+z"),
    )
    assert patched({"b": b"x\n"}, text) == {"a": b"one\nTWO\n", "b": b"z\n"}
    [_, edit] = planned({"b": b"x\n"}, text).edits
    assert edit.diff == "@@ -1 +1 @@\n-x\n+z\n"


@pytest.mark.parametrize(
    ("before", "lines", "after", "kinds"),
    [
        ({}, ["*** Add File: a", "+x", "*** Delete File: a"], {}, []),
        (
            {"a": b"x\n"},
            ["*** Delete File: a", "*** Add File: a", "+y"],
            {"a": b"y\n"},
            [("a", "update", None)],
        ),
        (
            {"a": b"x\n"},
            ["*** Update File: a", "*** Move to: b", "*** Update File: b", "*** Move to: c"],
            {"c": b"x\n"},
            [("a", "update", "c")],
        ),
        (
            {"a": b"x\n"},
            ["*** Update File: a", "*** Move to: b", "*** Add File: a", "+y"],
            {"a": b"y\n", "b": b"x\n"},
            [("a", "update", None), ("b", "add", None)],
        ),
        (
            {"a": b"x\n", "b": b"y\n"},
            ["*** Update File: a", "*** Move to: b"],
            {"b": b"x\n"},
            [("b", "delete", None), ("a", "update", "b")],
        ),
        (
            {"a": b"x\n"},
            ["*** Update File: a", "*** Move to: b", "*** Delete File: b"],
            {},
            [("a", "delete", None)],
        ),
        (
            {"a": b"x\n"},
            ["*** Update File: a", "*** Move to: b", "*** Update File: b", "*** Move to: a"],
            {"a": b"x\n"},
            [],
        ),
        (
            {"a": b"x\n"},
            ["*** Update File: a", "*** Move to: a", "@@", "-x", "+y"],
            {"a": b"y\n"},
            [("a", "update", None)],
        ),
    ],
)
def test_chains_of_sections_come_to_their_end(
    before: dict[str, bytes],
    lines: list[str],
    after: dict[str, bytes],
    kinds: list[tuple[str, str, str | None]],
) -> None:
    assert patched(before, patch(*lines)) == after
    edits = planned(before, patch(*lines)).edits
    shown = [(edit.path[6:], edit.kind, edit.move_path and edit.move_path[6:]) for edit in edits]
    assert shown == kinds


def test_a_move_alone_keeps_every_byte() -> None:
    data = b"\xff\xfe\x00no newline"
    assert patched({"a": data}, patch("*** Update File: a", "*** Move to: b")) == {"b": data}


def test_replacing_a_file_by_a_move_is_said() -> None:
    plan = planned({"a": b"x\n", "b": b"y\n"}, patch("*** Update File: a", "*** Move to: b"))
    assert plan.summary.endswith("M b\nb: what was there has been replaced.\n")


def test_adding_over_a_file_shows_what_is_lost() -> None:
    text = patch("*** Add File: a", "+one", "+2", "+three")
    plan = planned({"a": b"one\ntwo\nthree\n"}, text)
    assert plan.edits == (
        FileEdit("/work/a", "update", "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"),
    )
    assert plan.summary.endswith("A a\n")


def test_a_patch_that_changes_nothing_writes_nothing_and_says_so() -> None:
    plan = planned({"a": b"x\n"}, patch("*** Update File: a", "@@", "-x", "+x"))
    assert (plan.changes, plan.edits) == ((), ())
    assert "a: nothing changed, it was like this before." in plan.summary


def test_a_missing_last_line_ending_is_part_of_the_diff() -> None:
    [edit] = planned({"a.txt": b"1\n2\n3\n4\n5\n6\n7\n8\n9"}, update("@@\n-1\n+one\n")).edits
    assert edit.diff == (
        "@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n"
        "@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n\\ No newline at end of file\n+9\n"
    )


def test_a_file_may_become_empty() -> None:
    assert patched({"a.txt": b"\xef\xbb\xbfx"}, update("@@\n-x\n")) == {"a.txt": b"\xef\xbb\xbf"}


def test_a_very_long_diff_is_cut_and_says_so() -> None:
    [edit] = planned({"a": b"x" * 99 + b"\n" + b"y" * 2_000_000}, patch("*** Delete File: a")).edits
    assert len(edit.diff) < 1_000
    assert edit.diff.endswith("\\ The rest of this diff is left out: it is too long.\n")


def test_what_a_diff_cannot_show_it_can_still_be_logged_with() -> None:
    [edit] = planned({"a.txt": b"\xff\nx\n"}, update("@@\n-x\n+y\n")).edits
    assert edit.diff == "@@ -1,2 +1,2 @@\n \ufffd\n-x\n+y\n"


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (FileState("missing"), "there is no such file"),
        (FileState("directory"), "it is a directory."),
        (FileState("other"), "it is not a regular file."),
        (FileState("unreadable", reason="It is masked."), "it cannot be read. It is masked."),
    ],
)
def test_what_is_in_the_way_is_named(state: FileState, reason: str) -> None:
    tasks = [["*** Delete File: a"], ["*** Update File: a", "-x"]]
    if state.kind != "missing":
        tasks += [["*** Add File: a", "+x"], ["*** Update File: b", "*** Move to: a"]]
    for lines in tasks:
        with pytest.raises(PatchError, match=reason):
            planned({"a": state, "b": b"x\n"}, patch(*lines))


def test_a_file_that_is_gone_by_then_cannot_be_updated() -> None:
    with pytest.raises(PatchError, match="the patch itself deletes or moves it"):
        planned({"a": b"x\n"}, patch("*** Delete File: a", "*** Update File: a", "-x"))


def test_one_file_under_two_names_is_refused() -> None:
    real = FileState("file", b"x\n", 0o644, CWD / "a")
    text = patch("*** Update File: a", "-x", "+y", "*** Update File: link", "-x", "+z")
    with pytest.raises(PatchError, match="are one file, /work/a"):
        planned({"a": real, "link": real}, text)


def test_utf_16_is_refused_for_editing_only() -> None:
    wide = "x\n".encode("utf-16")
    with pytest.raises(PatchError, match="it is UTF-16"):
        planned({"a.txt": wide}, update("@@\n+y\n"))
    assert patched({"a.txt": wide}, patch("*** Delete File: a.txt")) == {}
