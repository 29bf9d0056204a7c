"""Which hooks a call is for."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.agent.hooks.matching import Seen, matches, rewritten, told
from octavo.config.hooks import Hook, parse
from octavo.model import Call

CWD = Path("/work")
PATCH = """\
*** Begin Patch
*** Add File: a.txt
+one
*** Update File: b.txt
@@
-old
+new
*** Delete File: c.txt
*** End Patch"""


def hook(matcher: str | None) -> Hook:
    [one], problems = parse(
        {"PreToolUse": [{"matcher": matcher, "hooks": [{"command": "true"}]}]},
        path=Path("/h"),
        source="user",
    )
    assert problems == []
    return one


@pytest.mark.parametrize(
    ("matcher", "name", "is_for"),
    [
        (None, "Bash", True),
        ("", "Bash", True),
        ("*", "anything", True),
        ("Bash", "Bash", True),
        ("Bash", "BashOutput", False),
        ("Edit|Write", "Write", True),
        ("Edit|Write", "WriteAll", False),
        ("^Bash", "BashOutput", True),
        ("^Bash$", "BashOutput", False),
        ("mcp__memory", "mcp__memory__create", False),
        ("mcp__memory__.*", "mcp__memory__create", True),
        ("mcp__.*__write.*", "mcp__files__write_file", True),
        ("mcp__.*__write.*", "mcp__files__read_file", False),
        (".*", "x" * 201, False),
    ],
)
def test_matchers_are_names_or_patterns(matcher: str | None, name: str, is_for: bool) -> None:
    assert matches(matcher, name) is is_for


@pytest.mark.parametrize(
    ("matcher", "names"),
    [
        (None, ["apply_patch"]),
        ("*", ["apply_patch"]),
        ("apply_patch", ["apply_patch"]),
        ("apply_patch|Write|Edit", ["apply_patch"]),
        ("Write", ["Write"]),
        ("Edit", ["Edit", "Edit"]),
        ("Write|Edit", ["Write", "Edit", "Edit"]),
        ("Edit|MultiEdit", ["Edit", "Edit"]),
        ("Bash", []),
    ],
)
def test_a_patch_is_told_under_the_name_a_hook_knows(matcher: str | None, names: list[str]) -> None:
    about = told(Call("c", "apply_patch", PATCH, freeform=True), CWD)
    assert [seen.name for seen in about.for_hook(hook(matcher))] == names


def test_a_patch_is_told_file_by_file_as_claude_code_does() -> None:
    about = told(Call("c", "apply_patch", msgspec.json.encode({"input": PATCH}).decode()), CWD)

    assert about.seen == Seen("apply_patch", {"command": PATCH})
    assert about.for_hook(hook("Write|Edit")) == [
        Seen("Write", {"file_path": "/work/a.txt", "content": "one\n"}),
        Seen("Edit", {"file_path": "/work/b.txt", "old_string": "old", "new_string": "new"}),
        Seen("Edit", {"file_path": "/work/c.txt"}),
    ]


def test_a_file_that_a_patch_moves_is_told_where_it_was_and_where_it_goes() -> None:
    patch = """\
*** Begin Patch
*** Update File: guarded.txt
*** Move to: free.txt
@@
-old
+new
*** End Patch"""
    about = told(Call("c", "apply_patch", patch, freeform=True), CWD)

    assert [seen.input["file_path"] for seen in about.for_hook(hook("Edit"))] == [
        "/work/guarded.txt",
        "/work/free.txt",
    ]


def test_a_patch_in_a_command_is_a_command_and_a_patch() -> None:
    command = f"cd sub && apply_patch <<'EOF'\n{PATCH}\nEOF"
    about = told(Call("c", "exec_command", msgspec.json.encode({"cmd": command}).decode()), CWD)

    assert [seen.name for seen in about.for_hook(hook("Bash|apply_patch"))] == ["Bash"]
    assert about.for_hook(hook("apply_patch")) == [Seen("apply_patch", {"command": f"{PATCH}\n"})]
    written, *_ = about.for_hook(hook("Write"))
    assert written.input["file_path"] == "/work/sub/a.txt"


def test_a_rewritten_command_keeps_the_rest_of_its_call() -> None:
    call = Call("c", "exec_command", '{"cmd": "a", "workdir": "/x"}')
    changed = rewritten(call, {"command": "b"})
    assert msgspec.json.decode(changed.arguments) == {"cmd": "b", "workdir": "/x"}


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("exec_command", '{"cmd": "a"}', {"file_path": "x"}),
        ("exec_command", "no json", {"command": "x"}),
        ("apply_patch", PATCH, {"file_path": "x"}),
    ],
)
def test_what_is_no_input_for_the_tool_is_refused(
    name: str, arguments: str, wanted: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="updatedInput"):
        rewritten(Call("c", name, arguments), wanted)


@given(st.text(max_size=30), st.text(max_size=80), st.booleans())
def test_every_call_can_be_told(name: str, arguments: str, freeform: bool) -> None:
    for each in (name, "exec_command", "apply_patch"):
        about = told(Call("c", each, arguments, freeform), CWD)
        assert about.for_hook(hook("*")) == [about.seen]


@given(
    st.recursive(
        st.one_of(st.text(max_size=9), st.integers(), st.none(), st.booleans()),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    ["hooks", "matcher", "command", "type", "timeout", "Stop", "PreToolUse", "x"]
                ),
                inner,
                max_size=4,
            ),
        ),
        max_leaves=12,
    )
)
def test_whatever_a_file_says_is_read_or_said(table: object) -> None:
    hooks, problems = parse(table, path=Path("/h"), source="project")

    assert all(one.command.strip() and one.timeout_s >= 1 for one in hooks)
    assert all("/h" in problem for problem in problems)
