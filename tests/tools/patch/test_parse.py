"""What is read as a patch, and what the model is told about the rest."""

from __future__ import annotations

import pytest

from octavo.tools import ToolFailed
from octavo.tools.patch import AddFile, Chunk, DeleteFile, Patch, PatchError, UpdateFile
from octavo.tools.patch.parse import parse

PLAIN = "*** Begin Patch\n*** Update File: a\n@@ def f():\n x\n-y\n+z\n*** End Patch"
READ = Patch((UpdateFile("a", None, (Chunk(("def f():",), (" x", "-y", "+z"), False, 4),), 2),))


def inside(*lines: str) -> str:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch", ""])


def lines_of(text: str) -> tuple[str, ...]:
    [section] = parse(text).sections
    assert isinstance(section, UpdateFile)
    return section.chunks[0].lines


def test_every_section_is_read() -> None:
    text = inside(
        *("*** Add File: new/a b.txt", "+one", "+", "*** Delete File: old", ""),
        *("*** Update File: c", "*** Move to: d", "@@ x", "@@ y", "-p", "*** End of File", "@@"),
        "+q",
    )
    assert parse(text) == Patch(
        (
            AddFile("new/a b.txt", ("one", ""), 2),
            DeleteFile("old", 5),
            UpdateFile(
                *("c", "d"),
                (Chunk(("x", "y"), ("-p",), True, 11), Chunk((), ("+q",), False, 14)),
                7,
            ),
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        PLAIN + "\n",
        "\n\n" + PLAIN + "\n\n  \n",
        PLAIN.replace("\n", "\r\n"),
        "  *** Begin Patch \n" + PLAIN.split("\n", 1)[1] + "  ",
        "\ufeff" + PLAIN,
        PLAIN.replace("*** Update File: a", "   *** Update File:a  "),
        f"<<'EOF'\n{PLAIN}\nEOF",
        f"<<EOF\n{PLAIN}\nEOF\n",
        f'apply_patch <<"PATCH"\n{PLAIN}\nPATCH\n',
        f"```diff\n{PLAIN}\n```",
        PLAIN.replace("+z\n", "+z\n\\ No newline at end of file\n"),
    ],
)
def test_wrappers_and_padding_change_nothing(text: str) -> None:
    read = parse(text)
    [section] = read.sections
    assert isinstance(section, UpdateFile)
    assert (section.path, section.chunks[0].headers) == ("a", ("def f():",))
    assert section.chunks[0].lines == (" x", "-y", "+z")


def test_lines_are_numbered_as_in_the_text() -> None:
    assert parse(PLAIN) == READ


def test_an_environment_id_is_passed_over() -> None:
    assert parse(inside("*** Environment ID: e1", "*** Delete File: a")) == Patch(
        (DeleteFile("a", 3),)
    )


def test_an_empty_line_is_an_empty_line_to_keep() -> None:
    assert lines_of(inside("*** Update File: a", "@@", " x", "", "-y")) == (" x", " ", "-y")


def test_empty_lines_after_added_ones_only_set_the_patch_out() -> None:
    assert lines_of(inside("*** Update File: a", "@@ x", "+y", "", "")) == ("+y",)
    assert lines_of(inside("*** Update File: a", "@@ x", "+y", " ")) == ("+y", " ")


def test_a_padded_marker_in_an_update_is_a_line_of_the_file() -> None:
    text = inside("*** Update File: a", " *** End Patch", "-x")
    assert lines_of(text) == (" *** End Patch", "-x")


def test_a_move_needs_no_change() -> None:
    text = inside("*** Update File: a", "*** Move to: b")
    assert parse(text) == Patch((UpdateFile("a", "b", (), 2),))


def test_a_new_file_may_be_empty() -> None:
    assert parse(inside("*** Add File: a")) == Patch((AddFile("a", (), 2),))


def test_errors_are_tool_failures() -> None:
    assert issubclass(PatchError, ToolFailed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must start with the line `*** Begin Patch` and end with `*** End Patch`"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "must start with the line"),
        ("*** Begin Patch", "must end with the line `*** End Patch`"),
        (inside("*** Delete File: a") + "thanks", "Patch line 4: nothing may follow"),
        ("*** Begin Patch\n*** Delete File: a\n", 'it ends with "*** Delete File: a"'),
        (inside("", " "), "The patch is empty"),
        (inside("*** Rename File: a"), 'Patch line 2: "*** Rename File: a" starts no section'),
        (inside("*** Delete File: a", "-x"), 'Patch line 3: "-x" starts no section'),
        (inside("*** Add File:  "), "Patch line 2: a path is missing"),
        (inside("*** Add File: a\0b"), "Patch line 2: a path is missing"),
        (inside("*** Add File: a", "x"), "Patch line 3: every line of the new file a must start"),
        (inside("*** Add File: a", "+x", "", "+y"), "Patch line 4: every line of the new file"),
        (inside("*** Update File: a"), "Patch line 2: the update of a changes nothing"),
        (inside("*** Update File: a", "@@ x"), "Patch line 4: no line follows the `@@`"),
        (inside("*** Update File: a", "x"), "Patch line 3: \"x\" must start with ' '"),
        (inside("*** Update File: a", "-x", "*** End of File", "-y"), "Patch line 5: after `***"),
        (inside("*** Add File: a", "+\ud800"), "Patch line 3 holds half of a surrogate pair"),
    ],
)
def test_an_error_names_the_line_and_the_right_form(text: str, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        parse(text)
    assert message in str(caught.value)
