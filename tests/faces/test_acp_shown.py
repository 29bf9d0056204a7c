"""Diffs as an editor is shown them: what was there before, and what is there after."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.faces.acp.shown import diffs, shown
from octavo.protocol import items as it
from tests.sampling import sample

TEXTS = st.lists(st.sampled_from(["a", "b", "-", "+x", "@@", "", "\\ No"]), max_size=30)


@settings(max_examples=sample(5_000, 200))
@given(TEXTS, TEXTS)
def test_every_hunk_is_a_part_of_the_text_before_and_after(
    before: list[str], after: list[str]
) -> None:
    old, new = ["".join(f"{line}\n" for line in lines) for lines in (before, after)]
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True))
    diff = "".join(list(lines)[2:])
    change = it.FileUpdateChange("/f", it.Kind("update", None), diff)

    for hunk in diffs(change):
        assert hunk.old_text is not None
        assert hunk.old_text in old
        assert hunk.new_text in new
    if old != new:
        added = sum(line.startswith("+") for line in diff.splitlines())
        assert sum(h.new_text.count("\n") for h in diffs(change)) >= added


@pytest.mark.parametrize("side", ["-", "+", " "])
def test_a_last_line_without_an_end_is_shown_without_one(side: str) -> None:
    diff = f"@@ -1 +1 @@\n-old\n+new\n{side}last\n\\ No newline at end of file\n"
    [hunk] = diffs(it.FileUpdateChange("/f", it.Kind("update", None), diff))

    assert (hunk.old_text or "").endswith("last") == (side in "- ")
    assert hunk.new_text.endswith("last") == (side in "+ ")


def test_titles_hide_nothing() -> None:
    item = it.CommandExecution(id="1", command="ls\u202e\x1b[2K\nrm", cwd="/", status="inProgress")
    tool = shown(item)

    assert tool is not None
    assert tool.title.isprintable()
    assert "rm" in tool.title
