"""Where a chunk goes, and when that is not clear enough to go on."""

from __future__ import annotations

import time

import pytest
from tests.tools.patch.folder import patched, planned, update

from octavo.tools.patch import PatchError
from octavo.tools.patch.nearest import nearest

CODE = """\
class A:
    def run(self):
        x = 1
        return x

class B:
    def run(self):
        x = 1
        return x

def main():
    print('hi')
"""


def edited(body: str, text: str = CODE) -> str:
    return patched({"a.txt": text.encode()}, update(body))["a.txt"].decode()


def refused(body: str, text: str = CODE) -> str:
    with pytest.raises(PatchError) as caught:
        planned({"a.txt": text.encode()}, update(body))
    return str(caught.value)


# Several places


def test_lines_that_fit_in_several_places_are_refused_with_the_places() -> None:
    assert refused("@@\n-        x = 1\n+        x = 2\n") == (
        'a.txt, chunk 1 of 1 (patch line 4, "-        x = 1") fits in several places: '
        'line 3 (under "class A:", "    def run(self):"), '
        'line 8 (under "class B:", "    def run(self):"). '
        "Add an `@@` line with a whole line that stands above the right one only, "
        "or more lines around the change.\n"
        "No file was changed. Mend this and send the whole patch again."
    )


def test_a_header_chooses_the_first_place_below_it() -> None:
    after = edited("@@ class B:\n-        x = 1\n+        x = 2\n")
    assert after == CODE.replace("x = 1", "x = 2").replace("x = 2", "x = 1", 1)
    assert edited("@@ class A:\n-        x = 1\n+        x = 2\n") == CODE.replace("1", "2", 1)


def test_a_header_that_is_there_twice_is_pointed_out_when_both_fit() -> None:
    def notes(body: str) -> str:
        summary = planned({"a.txt": CODE.encode()}, update(body)).summary
        return summary.removeprefix("Success. Updated the following files:\nM a.txt\n")

    twice = "@@     def run(self):\n-        x = 1\n+        x = 2\n"
    assert notes(twice) == (
        "a.txt: what was placed at line 3 fits line 8 as well, under the same `@@` line. "
        "Check that the first was meant.\n"
    )
    added = "@@     def run(self):\n+        y = 0\n"
    assert "what was placed at line 3 fits line 8 as well" in notes(added)
    assert notes(twice + twice) == notes(added + added) == ""
    assert notes(f"@@ class A:\n{twice}") == notes(twice)
    assert notes(f"@@ class B:\n{twice}") == ""


def test_headers_narrow_one_after_the_other() -> None:
    body = "@@ class B:\n@@     def run(self):\n+        y = 0\n"
    before, after = CODE.rsplit("self):\n", 1)
    assert edited(body) == f"{before}self):\n        y = 0\n{after}"


def test_an_earlier_chunk_leaves_only_what_is_below_it() -> None:
    body = "@@ class B:\n     def run(self):\n+        y = 0\n@@\n-        x = 1\n+        x = 2\n"
    assert edited(body).endswith(
        "y = 0\n        x = 2\n        return x\n\ndef main():\n    print('hi')\n"
    )
    again = "@@\n class A:\n+    y = 0\n@@\n-        x = 1\n+        x = 2\n"
    assert "fits in several places: line 3" in refused(again)


def test_lines_added_under_a_header_leave_only_what_is_below_it() -> None:
    body = "@@ class B:\n+    y = 0\n@@\n-        x = 1\n+        x = 2\n"
    assert edited(body) == CODE.replace("B:", "B:\n    y = 0").replace("= 1", "= 2").replace(
        "= 2", "= 1", 1
    )


def test_places_that_overlap_are_several() -> None:
    assert "line 1, line 2." in refused("@@\n-x\n-x\n", "x\nx\nx\n")


def test_an_exact_place_is_better_than_several_inexact_ones() -> None:
    text = "  x\nx\n\tx\n"
    assert edited("@@\n-x\n+y\n", text) == "  x\ny\n\tx\n"
    assert "line 1, line 2" in refused("@@\n- x\n+y\n", "  x\nx\n")


def test_the_end_of_the_file_chooses() -> None:
    assert edited("@@\n-x\n+y\n*** End of File\n", "x\nx\nx\n") == "x\nx\ny\n"
    message = refused("@@\n-x\n+y\n*** End of File\n", "x\nz\n")
    assert "are not the last ones of the file, as `*** End of File` says. Line 2" in message


@pytest.mark.parametrize("header", ["@@ -8,2 +8,2 @@", "@@ -9,2 +9,2 @@ class Z", "@@ -7 +7"])
def test_a_line_number_of_git_breaks_a_tie(header: str) -> None:
    after = edited(f"{header}\n-        x = 1\n+        x = 2\n")
    assert after == CODE.replace("x = 1", "x = 2").replace("x = 2", "x = 1", 1)


def test_a_wrong_line_number_of_git_does_no_harm_to_a_clear_place() -> None:
    body = "@@ -1,2 +1,2 @@ nonsense\n-    print('hi')\n+    print('ho')\n"
    assert edited(body) == CODE.replace("hi", "ho")


def test_the_section_text_of_git_goes_before_its_line_number() -> None:
    after = edited("@@ -3 +3 @@ class B:\n-        x = 1\n+        x = 2\n")
    assert after == CODE.replace("x = 1", "x = 2").replace("x = 2", "x = 1", 1)


# Headers


def test_a_header_may_be_said_again_as_a_line_to_keep() -> None:
    body = "@@ def main():\n def main():\n-    print('hi')\n+    print('ho')\n"
    assert edited(body) == CODE.replace("hi", "ho")


def test_a_header_may_be_removed_itself_if_it_is_not_below() -> None:
    assert edited("@@ def main():\n-def main():\n+def start():\n") == CODE.replace("main", "start")
    assert edited("@@ x\n-x\n+y\n", "x\nx\nx\n") == "x\ny\nx\n"


def test_a_header_closed_with_signs_is_a_header() -> None:
    assert edited("@@ def main(): @@\n+    x = 1\n").endswith(
        "main():\n    x = 1\n    print('hi')\n"
    )


def test_a_header_has_to_be_a_whole_line() -> None:
    message = refused("@@ def main\n-    print('hi')\n")
    assert 'no line of the file is "def main", as its `@@` line says' in message
    assert 'Line 11 is the nearest:\n  patch: "def main"\n  file:  "def main():"' in message
    assert 'file:  "    def run(self):"' in refused("@@ def run\n-        x = 1\n")
    likely = "def naming():\n    pass\ndef name(first, *, second=None):\n    return 1\n"
    assert "Line 3 is the nearest" in refused("@@ def name(\n-    return 1\n", likely)


# Lines that are only added


def test_added_lines_go_right_under_their_header() -> None:
    assert edited("@@ class B:\n+    y = 0\n") == CODE.replace(
        "class B:\n", "class B:\n    y = 0\n"
    )


def test_added_lines_without_a_header_go_to_the_end() -> None:
    assert edited("@@\n+more()\n") == CODE + "more()\n"
    assert edited("+more()\n", "") == "more()\n"
    assert edited("@@ class B:\n+more()\n*** End of File\n") == CODE + "more()\n"


def test_added_lines_under_a_line_number_are_refused() -> None:
    assert "does not say clearly under which line" in refused("@@ -7,0 +8,1 @@\n+    y = 0\n")


# Order


def test_chunks_may_come_in_any_order_if_each_has_one_place() -> None:
    body = "@@\n-    print('hi')\n+    print('ho')\n@@\n class A:\n+    y = 0\n"
    assert edited(body) == CODE.replace("hi", "ho").replace("A:\n", "A:\n    y = 0\n")


def test_a_chunk_further_up_needs_a_clear_place() -> None:
    body = "@@\n-    print('hi')\n+    print('ho')\n@@\n-        x = 1\n+        x = 2\n"
    assert "chunk 2 of 2" in refused(body)
    assert "fits in several places: line 3" in refused(body)


def test_chunks_may_share_the_lines_they_keep() -> None:
    body = "@@\n-a\n+A\n b\n@@\n b\n-c\n+C\n"
    assert edited(body, "a\nb\nc\n") == "A\nb\nC\n"


def test_a_header_further_up_chooses_only_if_there_is_one_such_line() -> None:
    last = "@@\n-    print('hi')\n+    print('ho')\n"
    once = "@@ class B:\n-        x = 1\n+        x = 2\n"
    assert "x = 2" in edited(last + once).split("class B:")[1]
    twice = "@@     def run(self):\n-        x = 1\n+        x = 2\n"
    assert "fits in several places: line 3" in refused(last + twice)
    added = "@@     def run(self):\n+        y = 0\n"
    assert "does not say clearly under which line" in refused(last + added)


def test_no_line_is_changed_twice() -> None:
    body = "@@\n-    print('hi')\n+    print('ho')\n@@\n-    print('hi')\n+    print('hu')\n"
    assert "Write the chunks in the order of the file" in refused(body)


# Inexact lines


def test_lines_to_keep_stay_as_they_are_in_the_file() -> None:
    text = "if x:  \n\tdo(“it”)\n\u00a0 – done\nend\n"
    assert edited('@@\n if x:\n do("it")\n - done\n-end\n+END\n', text) == text.replace(
        "end", "END"
    )


def test_added_lines_stay_as_they_are_in_the_patch_and_indentation_is_pointed_out() -> None:
    plan = planned({"a.txt": CODE.encode()}, update("@@\n-  print('hi')\n+  print('ho')\n"))
    [change] = plan.changes
    assert b"\n  print('ho')\n" in change.data
    assert "a.txt: the lines at 12 are indented otherwise than in the patch" in plan.summary


def test_empty_lines_at_the_end_of_a_chunk_need_not_be_there() -> None:
    assert edited("@@\n-    print('hi')\n+    print('ho')\n\n\n") == CODE.replace("hi", "ho")
    assert edited("@@\n-x\n-\n+y\n+\n", "x\n") == "y\n"
    assert edited("@@\n-x\n+y\n\n*** End of File\n", "x\n") == "y\n"


# Errors


def test_the_nearest_place_is_shown_with_what_differs() -> None:
    body = "@@\n class B:\n     def run(self):\n-        x = 3\n+        x = 2\n         return x\n"
    assert refused(body) == (
        'a.txt, chunk 1 of 1 (patch line 4, " class B:"): its lines are not in the file. '
        "The nearest place is line 6; line 8 differs:\n"
        '  patch: "        x = 3"\n'
        '  file:  "        x = 1"\n'
        "The file there:\n"
        "     5  \n"
        "     6  class B:\n"
        "     7      def run(self):\n"
        "     8          x = 1\n"
        "     9          return x\n"
        "    10  \n"
        "    11  def main():\n"
        "No file was changed. Mend this and send the whole patch again."
    )


def test_the_nearest_place_is_in_the_file_if_it_can_be() -> None:
    assert nearest(["a"] * 5, ["a", "a", "a", "b"]) == 0
    assert nearest(["b", "c"], ["a", "b", "c"]) == -1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@@\n-    print(hi)\n", 'Line 12 is the nearest:\n  patch: "    print(hi)"'),
        ("@@\n-    print('hi')\n-    more()\n", "line 12. The file ends there, but the patch"),
        ("@@\n-zzz\n", "Nothing in the file is like them; read the file before you patch it."),
        ("@@\n-    print('bye')\n+    print('hi')\n", "The new lines are already at line 12"),
        ("@@\n-def  main():\n", "only the space inside the line differs"),
    ],
)
def test_an_error_says_what_would_have_been_right(body: str, message: str) -> None:
    assert message in refused(body)


def test_an_error_is_short_and_printable_whatever_the_file_holds() -> None:
    text = ("\x1b[31mred" * 1_000 + "\n") * 50 + "a\udc80b\n"
    data = text.encode("utf-8", "surrogateescape")
    with pytest.raises(PatchError) as caught:
        planned({"a.txt": data}, update("@@\n-" + "\x1b[31mred" * 999 + "\n-ab\n"))
    assert len(str(caught.value)) < 3_000
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).encode()


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"a\n" * 100_000, "@@\n" + " a\n" * 20_000 + "-b\n"),
        (b"a\n" * 50_000 + b"b\n" + b"a\n" * 50_000, "@@\n-b\n" + " a\n" * 40_000 + "-c\n"),
        (b"a\n" * 100_000, "@@\n-a\n+b\n"),
        (b"word other\n" * 100_000, "@@\n-word or other\n"),
    ],
)
def test_a_file_made_to_be_slow_is_not(data: bytes, body: str) -> None:
    began = time.process_time()
    with pytest.raises(PatchError):
        planned({"a.txt": data}, update(body))
    assert time.process_time() - began < 3
