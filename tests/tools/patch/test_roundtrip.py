"""Properties: what a diff says is what a patch does, and what it does not say stays."""

from __future__ import annotations

import difflib
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.tools.patch.folder import patched, planned, update

from octavo.tools.patch import PatchError
from octavo.tools.patch.parse import parse

WORDS = st.sampled_from(
    ["", " ", "x", "  return x", "def f():", "\tindent", "é—“q”", "+a", "-b", "@@"]
)
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r:"), max_size=12)
HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@\n")
LINES = st.lists(WORDS | PLAIN, min_size=1, max_size=15)


EDITS = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 4), st.lists(WORDS | PLAIN, max_size=3)),
    min_size=1,
    max_size=6,
)


@st.composite
def two_files(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """A file whose lines are all different in every reading, and the same file edited."""
    old = [f"{number}:{line}." for number, line in enumerate(draw(LINES))]
    new = list(old)
    for start, size, lines in draw(EDITS):
        new[start : start + size] = lines
    return old, new if new != old else [*new, "more"]


def body(old: Sequence[str], new: Sequence[str], context: int) -> str:
    """Write the difference as the chunks of an update."""
    text = ""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for group in matcher.get_grouped_opcodes(context):
        text += "@@\n"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                text += "".join(f" {line}\n" for line in old[i1:i2])
                continue
            text += "".join(f"-{line}\n" for line in old[i1:i2])
            text += "".join(f"+{line}\n" for line in new[j1:j2])
    return text


def encoded(lines: Sequence[str], ending: str = "\n") -> bytes:
    return "".join(line + ending for line in lines).encode()


@given(two_files(), st.integers(1, 4))
def test_a_patch_made_from_a_diff_gives_the_new_file(
    files: tuple[list[str], list[str]], context: int
) -> None:
    old, new = files
    after = patched({"a.txt": encoded(old)}, update(body(old, new, context)))
    assert after == {"a.txt": encoded(new)}


@given(two_files(), st.booleans(), st.booleans())
def test_crlf_and_byte_order_marks_survive(
    files: tuple[list[str], list[str]], bom: bool, crlf_patch: bool
) -> None:
    old, new = files
    mark = b"\xef\xbb\xbf" if bom else b""
    text = update(body(old, new, 3))
    if crlf_patch:
        text = text.replace("\n", "\r\n")
    after = patched({"a.txt": mark + encoded(old, "\r\n")}, text)
    assert after == {"a.txt": mark + encoded(new, "\r\n")}


@given(two_files(), st.data())
def test_lines_that_are_not_edited_keep_their_own_endings(
    files: tuple[list[str], list[str]], data: st.DataObject
) -> None:
    old, new = files
    endings = [data.draw(st.sampled_from(["\n", "\r\n"])) for _ in old]
    before = "".join(map(str.__add__, old, endings)).encode()
    [after] = patched({"a.txt": before}, update(body(old, new, 3))).values()
    got = after.decode().split("\n")
    assert got.pop() == ""
    assert [line.removesuffix("\r") for line in got] == new
    kept = dict(zip(old, endings, strict=True))
    for line in got:
        text = line.removesuffix("\r")
        if text in kept:
            assert line + "\n" == text + kept[text]
    if len(set(endings)) == 1:
        assert all(line.endswith("\r") == (endings[0] == "\r\n") for line in got)


def test_a_new_line_ends_like_the_one_it_replaces_or_the_one_above() -> None:
    before = {"a.txt": b"a\r\nb\nc\r\nd\n"}
    body = "@@\n-b\n+B1\n+B2\n c\n+C\n"
    assert patched(before, update(body)) == {"a.txt": b"a\r\nB1\nB2\nc\r\nC\r\nd\n"}
    assert patched(before, update("@@\n+0\n a\n")) == {"a.txt": b"0\r\n" + before["a.txt"]}


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=12), st.integers(0, 11))
def test_bytes_that_are_not_text_survive_beside_an_edit(lines: list[bytes], at: int) -> None:
    lines = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    at = min(at, len(lines))
    before = b"".join(line + b"\n" for line in [b"first", *lines[:at], b"unique one", *lines[at:]])
    [after] = patched({"a.txt": before}, update("@@\n-unique one\n+other\n")).values()
    assert after == before.replace(b"unique one\n", b"other\n")


@given(two_files(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_the_diff_of_a_plan_says_exactly_what_changes(
    files: tuple[list[str], list[str]], ending: str, open_end: bool
) -> None:
    old, new = files
    before = encoded(old, ending)
    if open_end:
        before = before.removesuffix(ending.encode())
    text = update(body(old, new, 2))
    [edit] = planned({"a.txt": before}, text).edits
    [after] = patched({"a.txt": before}, text).values()
    assert apply_diff(before.decode(), edit.diff) == after.decode()


@given(two_files(), two_files(), st.booleans())
def test_the_diff_of_several_sections_is_still_one(
    files: tuple[list[str], list[str]], more: tuple[list[str], list[str]], move: bool
) -> None:
    old, middle = files
    start, end = ([f"second {line}" for line in lines] for lines in more)
    assume(all(line.strip() for line in middle))  # so that the context of the second is unique
    text = "".join(
        (
            "*** Begin Patch\n*** Update File: a.txt\n",
            "*** Move to: b.txt\n" if move else "",
            body(old, middle, 1),
            f"*** Update File: {'b' if move else 'a'}.txt\n",
            body(start, end, 1),
            "*** End Patch",
        )
    )
    before = {"a.txt": encoded(old + start)}
    plan = planned(before, text)
    [edit] = plan.edits
    assert apply_diff(before["a.txt"].decode(), edit.diff) == encoded(middle + end).decode()
    assert patched(before, text) == {"b.txt" if move else "a.txt": encoded(middle + end)}


def test_git_takes_the_diff_of_a_plan(tmp_path: Path) -> None:
    before = b"".join(b"line %d\r\n" % n for n in range(40)) + b"last"
    chunks = "@@\n-line 3\n+three\n+and more\n@@\n line 20\n+new\n@@\n+tail\n"
    plan = planned({"a.txt": before}, update(chunks))
    (tmp_path / "a.txt").write_bytes(before)
    diff = f"--- a/a.txt\n+++ b/a.txt\n{plan.edits[0].diff}"
    subprocess.run(
        ["git", "apply", "-p1", "--whitespace=nowarn", "-"],
        cwd=tmp_path,
        input=diff.encode(),
        check=True,
    )
    assert (tmp_path / "a.txt").read_bytes() == patched({"a.txt": before}, update(chunks))["a.txt"]


@given(two_files(), st.data())
def test_a_patch_with_one_wrong_line_is_refused(
    files: tuple[list[str], list[str]], data: st.DataObject
) -> None:
    old, new = files
    lines = body(old, new, 1).split("\n")[:-1]
    there = [number for number, line in enumerate(lines) if line[0] in " -"]
    wrong = data.draw(st.sampled_from(there))
    lines[wrong] = lines[wrong][0] + "no such line"
    with pytest.raises(PatchError):
        planned({"a.txt": encoded(old)}, update("\n".join([*lines, ""])))


FRAGMENTS = st.sampled_from(
    [
        *("*** Begin Patch", "*** End Patch", "*** Add File: a", "*** Delete File: b"),
        *("*** Update File: a", "*** Move to: c", "*** End of File", "*** Environment ID: e"),
        *("@@", "@@ x", "@@ -1,2 +1,2 @@ x", "+x", "-x", " x", "+", "-", " ", "", "\\ No newline"),
        *("<<'EOF'", "EOF", "```", "apply_patch <<EOF", "***", "*** Update File:", "x", "\t"),
    ]
)
TEXTS = st.lists(FRAGMENTS | PLAIN, max_size=12).map("\n".join)
INSIDE = TEXTS.map(lambda text: f"*** Begin Patch\n{text}\n*** End Patch")


@given(TEXTS | INSIDE | st.text(st.characters()), st.binary(max_size=20) | st.just(b"x\ny\nx\n"))
def test_any_text_is_a_patch_or_a_patch_error(text: str, content: bytes) -> None:
    text_error = refusal(lambda: parse(text))
    if text_error is not None:
        assert len(text_error) < 1_000
        return
    assert parse(text) == parse(text)
    plan_error = refusal(lambda: planned({"a": content, "b": content}, text))
    assert plan_error is None or (plan_error.encode() and len(plan_error) < 4_000)


def refusal(act: Callable[[], object]) -> str | None:
    """Return why `act` was refused; None if it was not. Nothing else may be raised."""
    try:
        act()
    except PatchError as error:
        return str(error)
    return None


def apply_diff(before: str, diff: str) -> str:
    """Apply a unified diff, every line of it checked."""
    old = _lines(before)
    out: list[str] = []
    at = 0
    rows = _lines(diff)
    n = 0
    while n < len(rows):
        header = HEADER.fullmatch(rows[n])
        assert header is not None, rows[n]
        start, size, new_start, new_size = (int(x) if x else 1 for x in header.groups())
        skip = start - 1 if size else start
        out += old[at:skip]
        at = skip
        assert len(out) == (new_start - 1 if new_size else new_start)
        stop, new_stop = at + size, len(out) + new_size
        n += 1
        while n < len(rows) and not rows[n].startswith("@@"):
            sign, line = rows[n][0], rows[n][1:]
            n += 1
            if n < len(rows) and rows[n].startswith("\\"):
                line = line[:-1]
                n += 1
            if sign in " -":
                assert old[at] == line
                at += 1
            if sign in " +":
                out.append(line)
        assert (at, len(out)) == (stop, new_stop)
    return "".join(out + old[at:])


def _lines(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")[:-1]] + (
        [text.split("\n")[-1]] if not text.endswith("\n") and text else []
    )
